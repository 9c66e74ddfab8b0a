import { expect, test } from "bun:test";
import { notedLog } from "#shared/testing/noted-log.ts";
import { Heartbeat, patientTimer } from "./heartbeat.ts";

/** What mqtt.js asks of its timer: the first run waits, the second pings. */
function keepalive(every_ms: number) {
  const heard = { runs: 0, gaveUp: false };
  const timer = patientTimer(() => {
    heard.gaveUp = true;
  });
  const id = timer.set(() => heard.runs++, every_ms);
  return { heard, end: () => timer.clear(id) };
}

test("a broker is given up after several turns without an answer, and mqtt.js itself never gives up", async () => {
  const { heard, end } = keepalive(2);
  while (!heard.gaveUp) await Bun.sleep(1);
  expect(heard.runs).toBe(2);
  end();
});

test("an agent that was starved looks for the answer first", async () => {
  const { heard, end } = keepalive(10);
  while (heard.runs < 2) await Bun.sleep(1);
  Bun.sleepSync(500);
  await Bun.sleep(0);
  expect(heard.gaveUp).toBe(false);
  end();
});

test("a broker that is away is told of once, not at each try", async () => {
  const { log, lines } = notedLog();
  // Nobody listens at the port of nothing.
  const heartbeat = new Heartbeat({
    nodeName: "a",
    brokers: ["mqtts://127.0.0.1:1"],
    credentials: () => ({ ca: "", cert: "", key: "" }),
    keepalive_s: 5,
    log,
  });
  let tries = 0;
  const failedTwice = new Promise<void>((resolve) =>
    heartbeat.onEnd(() => {
      if (++tries === 2) resolve();
    }),
  );
  heartbeat.start();
  await failedTwice;
  expect(lines).toEqual(["warn no session"]);
  await heartbeat.stop();
});
