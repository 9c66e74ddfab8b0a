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

  /** A share of the board's processors. */
  async function share(part: number): Promise<string> {
    const { status } = await board.untilNode(() => true);
    return `${Math.floor(Number(status?.allocatable?.["cpu"]) * 1000 * part)}m`;
  }

  async function start(name: string, part: number, more: Partial<Pod["spec"]> = {}): Promise<void> {
    const requests = { cpu: await share(part) };
    await board.api.create(
      pods,
      lasting(name, { containers: [shell("main", wait, { resources: { requests } })], ...more }),
    );
    await board.untilPod(name, isReady);
  }

  async function resize(name: string, part: number): Promise<void> {
    const body = { spec: { containers: [{ name: "main", resources: { requests: { cpu: await share(part) } } }] } };
    await board.api.patch(pods, { namespace: "default", name }, { type: "strategic", body }, { subresource: "resize" });
  }

  async function untilResized(name: string, part: number): Promise<void> {
    const cpu = await share(part);
    await board.untilPod(
      name,
      ({ status }) =>
        status?.containerStatuses?.[0]?.resources?.requests?.["cpu"] === cpu && pending(status) === undefined,
    );
  }

  test("a resize that waits has what another pod's resize gives back", async () => {
    await start("gives", 0.6);
    await start("takes", 0.2);
    await resize("takes", 0.7);
    await board.untilPod("takes", ({ status }) => pending(status) === "Deferred");
    await resize("gives", 0.1);
    await untilResized("takes", 0.7);
    await Promise.all(["gives", "takes"].map((name) => board.remove(name)));
  }, 300_000);

  test("a resize that waits has what a pod held that is through, though the API still shows it", async () => {
    await start("ends", 0.6, {
      restartPolicy: "Never",
      containers: [
        shell("main", "while [ ! -e /tmp/end ]; do sleep 0.1; done", {
          resources: { requests: { cpu: await share(0.6) } },
        }),
      ],
    });
    await start("grows", 0.2);
    await resize("grows", 0.7);
    await board.untilPod("grows", ({ status }) => pending(status) === "Deferred");
    const running = await board.kubelet?.findContainer("default", "ends", "main");
    await board.runtime.execSync(running?.id ?? "", ["touch", "/tmp/end"], 60_000);
    await untilResized("grows", 0.7);
    expect((await board.untilPod("ends", phaseIs("Succeeded"))).status?.phase).toBe("Succeeded");
    await Promise.all(["ends", "grows"].map((name) => board.remove(name)));
  }, 300_000);

  test("a critical pod's resize has others ended for it, and is done when they have", async () => {
    await start("yields", 0.6);
    await start("vital", 0.2, { priorityClassName: "system-node-critical" });
    await resize("vital", 0.7);
    expect((await board.untilPod("yields", phaseIs("Failed"))).status?.reason).toBe("Preempting");
    await untilResized("vital", 0.7);
  }, 300_000);
});

const pending = (status: Pod["status"]): string | undefined =>
  status?.conditions?.find(({ type }) => type === "PodResizePending")?.reason;
