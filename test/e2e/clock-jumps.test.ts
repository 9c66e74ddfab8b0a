import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { nodes, pods } from "#shared/api/resources.ts";
import type { Pod, PodSpec } from "#shared/api/types/core-v1.generated.ts";
import type { BoardHost } from "#tools/local-cluster/board.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { shiftClock, withShiftedClock } from "../support/shifted-clock.ts";
import { binary, image, patience_s, probe_s, startCluster, type TestCluster } from "./board-cluster.ts";

setDefaultTimeout(3_600_000);

const hour_s = 3600;
const day_s = 24 * hour_s;
const year_s = 365 * day_s;
/** What boards take for the right time. Certificates begin when the program was built, which may have been just now. */
const right_s = day_s;

/** A clock that is set while Bramble runs: by NTP after days without, by a person, by a battery that fails. */
describe("a board whose clock jumps", () => {
  const dir = mkdtempSync("/var/tmp/bramble-program-");
  let it: TestCluster;
  let master: BoardHost;
  let worker: BoardHost;

  beforeAll(async () => {
    const program = withShiftedClock(binary, dir, right_s);
    it = await startCluster({ name: "clock", workers: 1, program });
    master = it.cluster.host("master-1");
    worker = it.cluster.host("worker-1");
    await create("steady", { containers: [probed()] });
    await untilReady("steady");
  });
  afterAll(async () => {
    await it?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const docker = (...args: string[]): string =>
    worker.exec(["docker", "-H", "unix:///run/docker.sock", ...args]).trim();
  const create = (name: string, spec: Partial<PodSpec> = {}): Promise<Pod> =>
    it.client.create(pods, {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, namespace: "default" },
      spec: { nodeName: "worker-1", terminationGracePeriodSeconds: 1, containers: [sleeper()], ...spec },
    });
  const get = (name: string): Promise<Pod> => it.client.get(pods, { namespace: "default", name });
  const untilPod = (name: string, what: string, holds: (pod: Pod) => boolean): Promise<Pod> =>
    waitFor(`${name} ${what}`, patience_s, async () => {
      const pod = await get(name);
      return holds(pod) ? pod : undefined;
    });
  const untilReady = (name: string): Promise<Pod> => untilPod(name, "Ready", (pod) => conditionOf(pod) === "True");
  const remove = async (name: string): Promise<void> => {
    await it.client.delete(pods, { namespace: "default", name });
    await waitFor(`${name} gone`, patience_s, async () => {
      const { items } = await it.client.list(pods, { namespace: "default", fieldSelector: `metadata.name=${name}` });
      return items.length === 0 || undefined;
    });
  };
  const untilNodeReady = (): Promise<unknown> =>
    waitFor("worker-1 Ready", patience_s, async () => {
      const { status } = await it.client.get(nodes, { name: "worker-1" });
      return status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") || undefined;
    });

  /** A pod starts, fails its probe, is restarted, is ended: whatever goes by time goes on. */
  const pass = async (name: string): Promise<void> => {
    await create(name, { containers: [probed()] });
    const first = await untilReady(name);
    docker("exec", containerOf(first), "touch", "/tmp/sick");
    await untilPod(name, "restarted", (pod) => restartsOf(pod) > 0 && conditionOf(pod) === "True");
    await remove(name);
  };

  for (const [what, shift_s] of [
    ["forward by two hours", 2 * hour_s],
    ["back by two hours", -2 * hour_s],
  ] as const)
    for (const role of ["worker", "master"] as const)
      test(`${what} on the ${role}: pods run on, others start and end, and so when it is set right`, async () => {
        const before = await untilReady("steady");
        const board = role === "worker" ? worker : master;
        shiftClock(board, right_s + shift_s);
        await pass("during");
        await untilNodeReady();
        shiftClock(board, right_s);
        await pass("after");
        await untilNodeReady();
        expect(lifeOf(await untilReady("steady"))).toEqual(lifeOf(before));
      });

  for (const [what, shift_s] of [
    ["a year ahead", year_s],
    ["two years ago", -2 * year_s],
  ] as const)
    test(`${what}, where no certificate is valid: the worker keeps its pods, and is back when it is set right`, async () => {
      const before = await untilReady("steady");
      await create("alone", { tolerations: [{ operator: "Exists" }] });
      const first = containerOf(await untilReady("alone"));
      shiftClock(worker, right_s + shift_s);
      docker("kill", first);
      // Without the master, or with it if the connection lasts.
      const second = await waitFor("another container", patience_s, () => {
        const running = docker(
          "ps",
          "-q",
          "--no-trunc",
          "--filter",
          "label=io.kubernetes.pod.name=alone",
          "--filter",
          "label=io.kubernetes.container.name=main",
        );
        return running !== "" && running !== first ? running : undefined;
      });
      shiftClock(worker, right_s);
      await untilNodeReady();
      await untilPod("alone", "restarted once", (pod) => restartsOf(pod) === 1 && containerOf(pod) === second);
      await remove("alone");
      await pass("after");
      expect(lifeOf(await untilReady("steady"))).toEqual(lifeOf(before));
    });
});

const sleeper = (): PodSpec["containers"][number] => ({ name: "main", image, command: ["sleep", "100000"] });

const probed = (): PodSpec["containers"][number] => ({
  ...sleeper(),
  livenessProbe: {
    exec: { command: ["test", "!", "-e", "/tmp/sick"] },
    periodSeconds: 1,
    failureThreshold: 2,
    timeoutSeconds: probe_s,
  },
  readinessProbe: { exec: { command: ["true"] }, periodSeconds: 1, timeoutSeconds: probe_s },
});

const conditionOf = ({ status }: Pod): string | undefined =>
  status?.conditions?.find(({ type }) => type === "Ready")?.status;
const restartsOf = ({ status }: Pod): number => status?.containerStatuses?.[0]?.restartCount ?? 0;
const containerOf = ({ status }: Pod): string =>
  (status?.containerStatuses?.[0]?.containerID ?? "").replace(/^[a-z]+:\/\//, "");
const lifeOf = (pod: Pod): object => ({
  uid: pod.metadata.uid,
  container: containerOf(pod),
  restarts: restartsOf(pod),
});
