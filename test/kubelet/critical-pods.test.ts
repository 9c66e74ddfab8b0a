/** A critical pod finds room on a board that others have filled. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { pods, priorityClasses } from "#shared/api/resources.ts";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, lasting, phaseIs, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const gibi = 1024 ** 3;

/** Sized by what does not depend on the machine: nobody writes so much. */
const sized = (name: string, disk_gibi: number, more: Partial<Pod["spec"]> = {}): Pod =>
  lasting(name, {
    containers: [shell("main", wait, { resources: { requests: { "ephemeral-storage": `${disk_gibi}Gi` } } })],
    ...more,
  });

describe.skipIf(!canRunDockerd())("critical pods", () => {
  let board: KubeletBoard;
  let free_gibi: number;
  beforeAll(async () => {
    board = await KubeletBoard.start();
    const node = await board.untilNode(({ status }) => status?.allocatable?.["ephemeral-storage"] !== undefined);
    await board.api.create(priorityClasses, {
      apiVersion: "scheduling.k8s.io/v1",
      kind: "PriorityClass",
      metadata: { name: "system-node-critical" },
      value: 2_000_001_000,
    });
    free_gibi = Math.floor(Number(node.status?.allocatable?.["ephemeral-storage"]) / gibi);
  }, 300_000);
  afterAll(() => board?.stop(), 300_000);

  test("an ordinary pod is refused, and of two that come at once the one that fits is taken", async () => {
    const most = Math.ceil(free_gibi * 0.6);
    await Promise.all(["first", "second"].map((name) => board.api.create(pods, sized(name, most))));
    const settled = ({ status }: Pod): boolean => status?.phase === "Failed" || status?.phase === "Running";
    const both = await Promise.all(["first", "second"].map((name) => board.untilPod(name, settled)));
    expect(both.map(({ status }) => status?.phase).sort()).toEqual(["Failed", "Running"]);
    const refused = both.find(({ status }) => status?.phase === "Failed");
    expect(refused?.status?.reason).toBe("OutOfephemeral-storage");
    expect(refused?.status?.message).toStartWith(
      "Pod was rejected: Node didn't have enough resource: ephemeral-storage, requested: ",
    );
    expect(await board.metrics()).toContain('kubelet_admission_rejections_total{reason="OutOfephemeral-storage"} 1');
    await Promise.all(["first", "second"].map((name) => board.remove(name)));
  }, 300_000);

  test("a critical pod has the least of others ended, and starts once they have", async () => {
    await board.api.create(pods, sized("spared", 1));
    const stubborn = shell("main", "trap '' TERM; while :; do sleep 0.1; done", {
      resources: { requests: { "ephemeral-storage": `${free_gibi - 2}Gi` } },
    });
    await board.api.create(pods, sized("large", 0, { containers: [stubborn], terminationGracePeriodSeconds: 3 }));
    await Promise.all(["spared", "large"].map((name) => board.untilPod(name, isReady)));

    await board.api.create(pods, sized("critical", 5, { priorityClassName: "system-node-critical" }));
    const ended = await board.untilPod("large", phaseIs("Failed"));
    expect(ended.status).toMatchObject({
      reason: "Preempting",
      message: "Preempted in order to admit critical pod",
    });
    expect(ended.status?.conditions?.find(({ type }) => type === "DisruptionTarget")).toMatchObject({
      status: "True",
      reason: "TerminationByKubelet",
      message: "Pod was preempted by Kubelet to accommodate a critical pod.",
    });
    const runs = await board.untilPod("critical", isReady);
    const gone = await board.untilPod("large", ({ status }) =>
      Boolean(status?.containerStatuses?.[0]?.state?.terminated),
    );
    const finishedAt = gone.status?.containerStatuses?.[0]?.state?.terminated?.finishedAt ?? "";
    const startedAt = runs.status?.containerStatuses?.[0]?.state?.running?.startedAt ?? "";
    expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(finishedAt));
    expect(await board.messagesOf("large")).toContain("Preempting: Preempted in order to admit critical pod");
    expect((await board.untilPod("spared", () => true)).status?.phase).toBe("Running");
    expect(await board.metrics()).toContain('kubelet_preemptions{preemption_signal="ephemeral-storage"} 1');
  }, 300_000);

  test("a critical pod for which all the others are not enough is refused, and they go on", async () => {
    await board.api.create(pods, sized("vast", free_gibi * 2, { priorityClassName: "system-node-critical" }));
    const refused = await board.untilPod("vast", phaseIs("Failed"));
    expect(refused.status?.reason).toBe("UnexpectedAdmissionError");
    expect(refused.status?.message).toMatch(
      /^Pod was rejected: Unexpected error while attempting to recover from admission failure: preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: \[\(res: ephemeral-storage, q: \d+\), \]$/,
    );
    expect((await board.untilPod("spared", () => true)).status?.phase).toBe("Running");
  }, 300_000);

  test("a resize that waits has what another pod's resize gives back", async () => {
    const cpus = Number((await board.untilNode(() => true)).status?.allocatable?.["cpu"]);
    const of = (share: number): string => `${Math.floor(cpus * 1000 * share)}m`;
    const asking = (name: string, share: number): Pod =>
      lasting(name, { containers: [shell("main", wait, { resources: { requests: { cpu: of(share) } } })] });
    await Promise.all([asking("gives", 0.6), asking("takes", 0.2)].map((pod) => board.api.create(pods, pod)));
    await Promise.all(["gives", "takes"].map((name) => board.untilPod(name, isReady)));
    const resize = (name: string, share: number): Promise<Pod> => {
      const body = { spec: { containers: [{ name: "main", resources: { requests: { cpu: of(share) } } }] } };
      const key = { namespace: "default", name };
      return board.api.patch(pods, key, { type: "strategic", body }, { subresource: "resize" });
    };
    await resize("takes", 0.7);
    await board.untilPod("takes", ({ status }) => pending(status) === "Deferred");
    await resize("gives", 0.1);
    await board.untilPod(
      "takes",
      ({ status }) =>
        status?.containerStatuses?.[0]?.resources?.requests?.["cpu"] === of(0.7) && pending(status) === undefined,
    );
  }, 300_000);
});

const pending = (status: Pod["status"]): string | undefined =>
  status?.conditions?.find(({ type }) => type === "PodResizePending")?.reason;
