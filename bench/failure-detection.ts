/**
 * How soon a board that fails is noticed, and how soon its pods serve elsewhere: a master and two workers. Prints the least, the middle
 * and the most of BENCH_ROUNDS (3) in ms, for the default toleration of one round; then BENCH_FLAPS (60) times a link that is down for
 * 2 s of every 10, and which pods that cost. Builds on dist/ (`npm run build x64`); root; a network of its own; a machine without other work.
 */
import { nodes, pods } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { spreadApp, startCluster, webApp } from "../test/e2e/board-cluster.ts";

const rounds = Number(process.env["BENCH_ROUNDS"] ?? 3);
const flaps = Number(process.env["BENCH_FLAPS"] ?? 60);
const patience_s = 600;
/** A board that was lost and back at once more than three times in five minutes has a bad link, whose next loss counts later. */
const apart_ms = 150_000;
const it = await startCluster({ name: "detect", workers: 2 });
const boards = ["worker-1", "worker-2"];

const untilNode = (name: string, isReady: boolean): Promise<true> =>
  waitFor(`${name} ${isReady ? "Ready" : "not Ready"}`, patience_s, async () => {
    const { items } = await it.client.list(nodes);
    const { status } = items.find(({ metadata }) => metadata.name === name) ?? {};
    return (status?.conditions?.find(({ type }) => type === "Ready")?.status === "True") === isReady || undefined;
  });
const podsOf = async (app: string): Promise<readonly Pod[]> =>
  (await it.client.list(pods, { namespace: "default", labelSelector: `app=${app}` })).items;
const serves = ({ metadata, status }: Pod): boolean =>
  !metadata.deletionTimestamp &&
  (status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false);
const untilServed = (app: string, isRight: (served: readonly Pod[]) => boolean): Promise<true> =>
  waitFor(`pods of ${app}`, patience_s, async () => isRight((await podsOf(app)).filter(serves)) || undefined);
const two = (served: readonly Pod[]): boolean => served.length === 2;
const elsewhere =
  (board: string) =>
  (served: readonly Pod[]): boolean =>
    served.filter(({ spec }) => spec?.nodeName !== board).length === 2;
const running = async (app: string): Promise<string[]> =>
  (await podsOf(app))
    .map(({ metadata, status }) => `${metadata.uid} ${status?.containerStatuses?.[0]?.restartCount}`)
    .sort();

const timesOf = new Map<string, number[]>();
async function timed(what: string, began_ms: number, work: Promise<unknown>): Promise<void> {
  await work;
  timesOf.set(what, [...(timesOf.get(what) ?? []), Math.round(performance.now() - began_ms)]);
}

async function back(board: string): Promise<void> {
  const worker = it.cluster.host(board);
  if (!worker.powered) await worker.powerOn();
  worker.startBramble();
  await untilNode(board, true);
}

/** A pod on each board, made anew: those of the round before have fled to one. */
async function placeAnew(app: string, manifest: readonly object[]): Promise<void> {
  it.kubectl("delete", "--ignore-not-found", `deployment/${app}`, `service/${app}`);
  await waitFor("the pods before to be gone", patience_s, async () => (await podsOf(app)).length === 0 || undefined);
  it.apply(manifest);
  await untilServed(app, (served) => two(served) && new Set(served.map(({ spec }) => spec?.nodeName)).size === 2);
}

try {
  const worker = it.cluster.host("worker-2");
  await Promise.all(boards.map((board) => untilNode(board, true)));
  for (let round = 0; round < rounds; round++) {
    await Bun.sleep(apart_ms);
    const killed_ms = performance.now();
    await it.cluster.host("worker-1").stopBramble("SIGKILL");
    await timed("agent killed to NotReady", killed_ms, untilNode("worker-1", false));
    await back("worker-1");

    await placeAnew("nimble", spreadApp("nimble", 5));
    const cut_ms = performance.now();
    await worker.cut();
    await timed("power cut to NotReady", cut_ms, untilNode("worker-2", false));
    await timed(
      "power cut to pods that tolerate 5 s serving elsewhere",
      cut_ms,
      untilServed("nimble", elsewhere("worker-2")),
    );
    await back("worker-2");
  }
  it.apply(webApp("plain", 2));
  await untilServed("plain", two);
  await Bun.sleep(apart_ms);
  const lost = (await podsOf("plain"))[0]?.spec?.nodeName ?? "";
  const cut_ms = performance.now();
  await it.cluster.host(lost).cut();
  await timed("power cut to pods with the defaults serving elsewhere", cut_ms, untilServed("plain", elsewhere(lost)));
  await back(lost);
  for (const [what, times_ms] of timesOf) {
    const sorted = times_ms.toSorted((a, b) => a - b);
    console.log(
      JSON.stringify({ what, least_ms: sorted[0], middle_ms: sorted[sorted.length >> 1], most_ms: sorted.at(-1) }),
    );
  }

  await placeAnew("nimble", spreadApp("nimble", 5));
  const before = await running("nimble");
  for (let flap = 0; flap < flaps; flap++) {
    worker.link("down");
    await Bun.sleep(2_000);
    worker.link("up");
    await Bun.sleep(8_000);
  }
  const isSame = (await running("nimble")).join() === before.join();
  console.log(JSON.stringify({ what: "link down for 2 s of every 10", flaps, podsLost: !isSame }));
} finally {
  await it.stop();
}
process.exit(0);
