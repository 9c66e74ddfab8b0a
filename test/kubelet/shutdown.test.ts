import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { nodes, pods, priorityClasses } from "#shared/api/resources.ts";
import type { Node, Pod } from "#shared/api/types/core-v1.generated.ts";
import type { PriorityClass } from "#shared/api/types/scheduling-v1.generated.ts";
import { waitFor } from "#tools/local-cluster/run.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { canRunBus, TestBus, TestLogind } from "../support/message-bus.ts";
import { KubeletBoard, nodeName, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const higher: PriorityClass = {
  kind: "PriorityClass",
  apiVersion: "scheduling.k8s.io/v1",
  metadata: { name: "important" },
  value: 1000,
};
const patience_s = 240;

describe.skipIf(!canRunDockerd() || !canRunBus())("a board that shuts down", () => {
  let board: KubeletBoard;
  let bus: TestBus;
  let logind: TestLogind;

  beforeAll(async () => {
    board = await KubeletBoard.start(async (directory) => {
      bus = await TestBus.start(directory);
      logind = await TestLogind.start(bus, directory);
      return {
        shutdown: [
          { priority: 0, grace_s: 20 },
          { priority: higher.value, grace_s: 10 },
        ],
        logind: { busPath: bus.path, configPath: logind.configPath },
      };
    });
  }, 300_000);
  afterAll(async () => {
    await board?.stop();
    logind?.stop();
    await bus?.stop();
  }, 300_000);

  const isReady = ({ status }: Pod | Node): boolean =>
    status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
  const isHeld = (wanted: boolean): Promise<unknown> =>
    waitFor(
      `the inhibitor ${wanted ? "held" : "let go"}`,
      patience_s,
      () => logind.held.length > 0 === wanted || undefined,
    );
  const get = (name: string): Promise<Pod> => board.api.get(pods, { namespace: "default", name });
  const always = (name: string, script: string, more: object = {}): Promise<Pod> =>
    board.api.create(pods, pod(name, { restartPolicy: "Always", containers: [shell("main", script)], ...more }));
  const finishedAt = ({ status }: Pod): string => status?.containerStatuses?.[0]?.state?.terminated?.finishedAt ?? "";

  test("an inhibitor is held that delays a shutdown as long as pods may take", async () => {
    await isHeld(true);
    expect(logind.held).toEqual([["shutdown", "bramble", expect.any(String), "delay"]]);
    expect(logind.delay_s).toBe(30);
  });

  test("pods end in order with their grace, the Node says why it is not ready, and none starts any more", async () => {
    const slow = "trap 'sleep 3; exit 0' TERM; while :; do sleep 0.1; done";
    await board.api.create(priorityClasses, higher);
    await always("ordinary", slow, { terminationGracePeriodSeconds: 15 });
    await always("important", wait, { priorityClassName: higher.metadata.name });
    await Promise.all([board.untilPod("ordinary", isReady), board.untilPod("important", isReady)]);
    logind.prepareForShutdown(true);
    const ended = await Promise.all(
      ["ordinary", "important"].map((name) => board.untilPod(name, ({ status }) => status?.phase === "Failed")),
    );
    for (const { status } of ended) {
      expect(status).toMatchObject({
        reason: "Terminated",
        message: "Pod was terminated in response to imminent node shutdown.",
      });
      expect(status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
        status: "True",
        reason: "TerminationByKubelet",
      });
    }
    const [ordinary, important] = ended as [Pod, Pod];
    expect(ordinary.status?.containerStatuses?.[0]?.state?.terminated?.exitCode).toBe(0);
    expect(finishedAt(important) >= finishedAt(ordinary)).toBe(true);
    const { status } = await board.untilNode((node) => !isReady(node));
    expect(status?.conditions?.find(({ type }) => type === "Ready")).toMatchObject({
      status: "False",
      reason: "KubeletNotReady",
      message: expect.stringContaining("node is shutting down"),
    });
    await isHeld(false);
    await always("late", wait);
    const late = await board.untilPod("late", ({ status }) => status?.phase === "Failed");
    expect(late.status).toMatchObject({
      reason: "NodeShutdown",
      message: "Pod was rejected: Pod was rejected as the node is shutting down.",
    });
    expect(await board.runtime.listContainers({ podUid: late.metadata.uid ?? "" })).toEqual([]);
    for (const name of ["ordinary", "important", "late"]) await board.remove(name);
  }, 300_000);

  test("a shutdown that is called off lets pods start again, and is delayed the next time", async () => {
    // The one before has not come to its end.
    logind.prepareForShutdown(false);
    await isHeld(true);
    logind.prepareForShutdown(true);
    await isHeld(false);
    logind.prepareForShutdown(false);
    await isHeld(true);
    await board.untilNode(isReady);
    await always("again", wait);
    await board.untilPod("again", isReady);
  }, 300_000);

  test("an agent that ends, or is started anew, leaves pods alone and gives its inhibitor back", async () => {
    const [before] = await board.runtime.listContainers({ podUid: (await get("again")).metadata.uid ?? "" });
    await board.kubelet?.endPodsWithBoard();
    await board.kubelet?.stop();
    await isHeld(false);
    expect(existsSync(logind.configPath)).toBe(true);
    await board.startKubelet();
    await isHeld(true);
    const [after] = await board.runtime.listContainers({ podUid: (await get("again")).metadata.uid ?? "" });
    expect(after).toMatchObject({ id: before?.id, state: "running" });
    expect(isReady(await board.api.get(nodes, { name: nodeName }))).toBe(true);
  }, 300_000);

  test("a bus that goes away is found again", async () => {
    await bus.stop();
    logind.stop();
    bus = await TestBus.start(board.dockerd.directory);
    logind = await TestLogind.start(bus, board.dockerd.directory, 60);
    await isHeld(true);
    expect(logind.delay_s).toBe(60);
  }, 300_000);
});
