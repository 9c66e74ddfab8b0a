import { expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import type { Client } from "#shared/client/client.ts";
import { ManualClock } from "#shared/testing/manual-clock.ts";
import { until } from "#shared/testing/until.ts";
import { PodStatusWriter } from "./pod-status-writer.ts";
import { testPod } from "./testing.ts";

const saying = (message: string): Pod => ({
  ...testPod("p"),
  metadata: { namespace: "default", name: "p", uid: "p" },
  status: { conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }] },
});

const often = { every_ms: 1 };

/** A writer whose server answers when it is told to; what it was asked to say, in order. */
function writing() {
  const asked: string[] = [];
  const answers: ((fails?: Error) => void)[] = [];
  const patch = (_: unknown, __: unknown, { body }: { body: Pod }): Promise<Pod> => {
    const message = body.status?.conditions?.[0]?.message ?? "";
    asked.push(message);
    return new Promise((resolve, reject) => {
      answers.push((failure) => (failure ? reject(failure) : resolve(saying(message))));
    });
  };
  const writer = new PodStatusWriter({ patch } as unknown as Client, new ManualClock());
  const tell = (pod: Pod, message: string): Promise<void> =>
    writer.unschedulable(pod, { reason: "Unschedulable", message });
  /** Answers the oldest of these, once it has been asked for. */
  const answer = async (fails?: Error): Promise<void> => (await until("a write", () => answers.shift(), often))(fails);
  return { asked, answer, tell, settled: () => writer.settled("p") };
}

test("of two reasons the later one is written last, however late the earlier one arrives", async () => {
  const { asked, answer, tell, settled } = writing();
  const pod = saying("");
  const [first, second] = [tell(pod, "no nodes"), tell(pod, "tainted")];
  expect(asked).toEqual(["no nodes"]);
  await answer();
  await first;
  await answer();
  await second;
  expect(asked).toEqual(["no nodes", "tainted"]);
  await settled();
  expect(settled()).toBeUndefined();
});

test("a reason that held before is written again after another one, though the pod was last seen with it", async () => {
  const { asked, answer, tell } = writing();
  const pod = saying("no nodes");
  const [first, second] = [tell(pod, "tainted"), tell(pod, "no nodes")];
  await answer();
  await first;
  await answer();
  await second;
  expect(asked).toEqual(["tainted", "no nodes"]);
  await tell(pod, "no nodes");
  expect(asked).toHaveLength(2);
});

test("a write that fails is told to who asked for it alone", async () => {
  const { asked, answer, tell } = writing();
  const [first, second] = [tell(saying(""), "no nodes"), tell(saying(""), "tainted")];
  const failed = first.catch((error: Error) => error.message);
  await answer(new Error("away"));
  expect(await failed).toBe("away");
  await answer();
  await second;
  expect(asked).toEqual(["no nodes", "tainted"]);
});
