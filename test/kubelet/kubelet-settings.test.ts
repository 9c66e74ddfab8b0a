/** What a kubelet is told by its settings, as pods on Docker and the board's Node show it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { hasUnifiedGroups, type TuningSettings, tuningOf, usualTuningSettings } from "#agent/kubelet/kubelet-tuning.ts";
import { evictionRulesOf } from "#agent/kubelet/node/eviction-rules.ts";
import { pods } from "#shared/api/resources.ts";
import { evictionOptions } from "#shared/config/eviction-options.ts";
import type { Options } from "#shared/config/option.ts";
import { canRunDockerd } from "../support/dockerd.ts";
import { isReady, KubeletBoard, pod, wait } from "./kubelet-board.ts";
import { shell } from "./shell-container.ts";

const fallbacks = (options: Options): Record<string, unknown> =>
  Object.fromEntries(Object.entries(options).map(([key, { fallback }]) => [key, fallback]));
const tuned = (given: Partial<TuningSettings>) => tuningOf({ ...usualTuningSettings, ...given }, hasUnifiedGroups());
const evicting = (given: object) =>
  evictionRulesOf({ ...fallbacks(evictionOptions), ...given } as Parameters<typeof evictionRulesOf>[0]);

describe.skipIf(!canRunDockerd())("a kubelet that was told more than usual", () => {
  let board: KubeletBoard;

  beforeAll(async () => {
    const tuning = tuned({
      allowedUnsafeSysctls: ["net.core.somaxconn", "kernel.msg*"],
      seccompDefault: true,
      cpuCfsQuota: false,
      podsPerCore: 3,
      providerId: "shed://board",
      nodeStatusUpdateFrequency: 1_000,
      crashLoopBackOffMax: 1_000,
    });
    board = await KubeletBoard.start(async () => ({ tuning }));
  }, 300_000);
  afterAll(async () => {
    await board?.stop();
  }, 300_000);

  test("tells of itself as it was told to", async () => {
    const node = await board.untilNode(({ status }) => status?.capacity?.["pods"] !== undefined);
    expect(node.spec?.providerID).toBe("shed://board");
    const { cpu, pods: most } = node.status?.capacity ?? {};
    expect(Number(most)).toBe(3 * Number(cpu));
  }, 300_000);

  test("lets pods set the sysctls that are allowed, holds them to the runtime's seccomp profile, and no CPU limit", async () => {
    const script = "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax; grep '^Seccomp:' /proc/self/status";
    await board.api.create(
      pods,
      pod("told", {
        securityContext: {
          sysctls: [
            { name: "net.core.somaxconn", value: "77" },
            { name: "kernel.msgmax", value: "9000" },
          ],
        },
        containers: [shell("main", script, { resources: { limits: { cpu: "100m", memory: "16Mi" } } })],
      }),
    );
    await board.untilPod("told", ({ status }) => status?.phase === "Succeeded");
    expect(await board.logsOf("told", "main")).toMatch(/^77\n9000\nSeccomp:\s+2\n$/);
    await board.api.create(
      pods,
      pod("not-told", {
        securityContext: { sysctls: [{ name: "kernel.shmmax", value: "1" }] },
        containers: [shell("main", wait)],
      }),
    );
    const refused = await board.untilPod("not-told", ({ status }) => status?.phase === "Failed");
    expect(refused.status).toMatchObject({
      reason: "SysctlForbidden",
      message: expect.stringContaining('forbidden sysctl: "kernel.shmmax" not allowlisted'),
    });
  }, 300_000);

  test("starts what fails again after the pause that is set", async () => {
    await board.api.create(pods, pod("failing", { restartPolicy: "Always", containers: [shell("main", "exit 1")] }));
    await board.untilPod("failing", ({ status }) =>
      (status?.containerStatuses?.[0]?.state?.waiting?.message ?? "").startsWith("back-off 1s restarting failed"),
    );
    await board.remove("failing");
  }, 300_000);

  test("lets a pod go for a soft threshold when its grace period is over, and tells of the pressure at once", async () => {
    await board.api.create(
      pods,
      pod("large", { restartPolicy: "Always", terminationGracePeriodSeconds: 1, containers: [shell("main", wait)] }),
    );
    await board.untilPod("large", isReady);
    await board.stopKubelet();
    const eviction = evicting({
      evictionHard: [],
      evictionSoft: ["memory.available<99%"],
      evictionSoftGracePeriod: ["memory.available=2s"],
      evictionMaxPodGracePeriod: 5,
      evictionPressureTransitionPeriod: 1_000,
    });
    await board.startKubelet({ eviction });
    const gone = await board.untilPod("large", ({ status }) => status?.phase === "Failed");
    expect(gone.status?.reason).toBe("Evicted");
    expect(gone.status?.message).toMatch(
      /^The node was low on resource: memory\. Threshold quantity: \d\S*, available: \d/,
    );
    const node = await board.untilNode(
      ({ status }) =>
        status?.conditions?.some(({ type, status }) => type === "MemoryPressure" && status === "True") ?? false,
    );
    // No hard threshold keeps memory from pods.
    expect(node.status?.allocatable?.["memory"]).toBe(node.status?.capacity?.["memory"]);
    await board.restartKubelet();
    await board.untilNode(
      ({ status }) =>
        status?.conditions?.some(({ type, status }) => type === "MemoryPressure" && status === "False") ?? false,
    );
  }, 300_000);
});
