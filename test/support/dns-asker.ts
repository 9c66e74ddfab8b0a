/**
 * Asks a DNS server for one name every 20 ms until its input ends, as a resolver does that asks again after a second, and
 * says then how that went: `bun dns-asker.ts SERVER NAME ADDRESS`. An empty line tells before that the first answer is there.
 */
import { createSocket } from "node:dgram";
import { decode, encode } from "dns-packet";

export interface AskerReport {
  readonly asked: number;
  /** Queries without the right answer after all tries. */
  readonly failed: number;
  /** The longest that any query waited. */
  readonly longest_ms: number;
  /** What was told in place of an answer: refusals, answers that say failure. */
  readonly refusals: readonly string[];
}

const every_ms = 20;
const retry_ms = 1000;
/** More than whoever answers can need to come back on a busy machine; how long it took is told. */
const tries = 120;

const [server = "", name = "", expected = ""] = process.argv.slice(2);
const refusals = new Set<string>();

async function resolve(): Promise<number | undefined> {
  const began_ms = performance.now();
  for (let attempt = 0; attempt < tries; attempt++) {
    const outcome = await askOnce();
    if (outcome === expected) return performance.now() - began_ms;
    if (outcome === undefined) continue;
    // A resolver that is told so gives up.
    refusals.add(outcome);
    return undefined;
  }
  return undefined;
}

function askOnce(): Promise<string | undefined> {
  return new Promise((settle) => {
    const socket = createSocket("udp4");
    const give = (outcome: string | undefined): void => {
      clearTimeout(timer);
      socket.close();
      settle(outcome);
    };
    const timer = setTimeout(give, retry_ms, undefined);
    socket.once("error", (error) => give(String((error as NodeJS.ErrnoException).code)));
    socket.once("message", (message) => {
      const { flags = 0, answers = [] } = decode(message);
      const [answer] = answers;
      give(answer && "data" in answer ? String(answer.data) : `code ${flags & 0xf}`);
    });
    socket.connect(53, server, () =>
      socket.send(encode({ type: "query", id: 1, flags: 0x100, questions: [{ type: "A", name }] })),
    );
  });
}

const pending: Promise<number | undefined>[] = [];
pending.push(resolve());
void pending[0]?.then(() => process.stdout.write("\n"));
const timer = setInterval(() => pending.push(resolve()), every_ms);
process.stdin.on("end", async () => {
  clearInterval(timer);
  const took = await Promise.all(pending);
  const report: AskerReport = {
    asked: took.length,
    failed: took.filter((each) => each === undefined).length,
    longest_ms: Math.round(Math.max(...took.map((each) => each ?? 0))),
    refusals: [...refusals],
  };
  process.stdout.write(JSON.stringify(report));
  process.exit();
});
process.stdin.resume();
