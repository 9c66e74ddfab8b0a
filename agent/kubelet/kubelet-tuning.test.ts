import { describe, expect, test } from "bun:test";
import type { Pod } from "#shared/api/types/core-v1.generated.ts";
import { TokenBucket } from "#shared/process/token-bucket.ts";
import { BackOff } from "./back-off.ts";
import { type TuningSettings, tuningOf, usualTuningSettings } from "./kubelet-tuning.ts";
import { allowedSysctls, refuseSysctls } from "./node/sysctls.ts";

const tuned = (given: Partial<TuningSettings>, isUnified = true) =>
  tuningOf({ ...usualTuningSettings, ...given }, isUnified);

describe("what a kubelet is told besides", () => {
  test.each<[Partial<TuningSettings>, boolean, string]>([
    [
      { crashLoopBackOffMax: 500 },
      true,
      "MaxContainerRestartPeriod (got: 0.5 seconds) must be set between 1s and 300s",
    ],
    [{ crashLoopBackOffMax: 301_000 }, true, "(got: 301 seconds)"],
    [{ cpuCfsQuotaPeriod: 10 }, true, "requires feature gate CustomCPUCFSQuotaPeriod"],
    [
      { cpuCfsQuotaPeriod: 2_000, featureGates: ["CustomCPUCFSQuotaPeriod=true"] },
      true,
      "must be between 1ms and 1sec, inclusive",
    ],
    [{ swapBehavior: "LimitedSwap" }, false, "LimitedSwap but it is only supported with cgroupv2"],
    [{ singleProcessOomKill: "false" }, false, "must not be explicitly set to false when using cgroup v1"],
    [{ allowedUnsafeSysctls: ["vm.swappiness"] }, true, 'the sysctls "vm.swappiness" are not known to be namespaced'],
    [{ allowedUnsafeSysctls: ["net.*.x"] }, true, 'sysctl "net.*.x" must have at most 253 characters and match regex'],
    [{ featureGates: ["Nonsense=true"] }, true, "unrecognized feature gate: Nonsense"],
    [{ featureGates: ["NodeSwap=maybe"] }, true, "invalid value of NodeSwap=maybe"],
    [{ featureGates: ["NodeSwap"] }, true, "missing bool value for NodeSwap"],
    [{ featureGates: ["MemoryQoS=true"] }, true, "MemoryQoS cannot be true: Bramble has it false"],
    [
      { featureGates: ["NodeSwap=false"] },
      true,
      "cannot set feature gate NodeSwap to false, feature is locked to true",
    ],
  ])("%j is refused in upstream's words", (given, isUnified, message) => {
    expect(() => tuned(given, isUnified)).toThrow(message);
  });

  test("gates may be named that are as they are", () => {
    const { gates, cpuQuota } = tuned({
      featureGates: [
        "KubeletCrashLoopBackOffMax=true",
        "MemoryQoS=false",
        "CustomCPUCFSQuotaPeriod=true",
        "AllAlpha=false",
      ],
      cpuCfsQuotaPeriod: 5,
    });
    expect([...gates]).toEqual([["CustomCPUCFSQuotaPeriod", true]]);
    expect(cpuQuota).toEqual({ isEnforced: true, period_us: 5_000 });
  });

  test("how a container ends without memory is what its control group can do", () => {
    expect(tuned({}).memoryEnd.endsWhole).toBe(true);
    expect(tuned({ singleProcessOomKill: "true" }).memoryEnd.endsWhole).toBe(false);
    expect(tuned({}, false).memoryEnd.endsWhole).toBe(false);
  });

  test("images are pulled one at a time, so many, or as they come", () => {
    const parallel = (given: Partial<TuningSettings>) => tuned(given).pulls.parallel;
    expect([parallel({}), parallel({ serializeImagePulls: true }), parallel({ maxParallelImagePulls: 0 })]).toEqual([
      2,
      1,
      Number.POSITIVE_INFINITY,
    ]);
  });
});

test("sysctls beside the safe ones run where they are allowed, and in namespaces of the pod's own", () => {
  const podWith = (name: string, more = {}): Pod => ({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers: [], securityContext: { sysctls: [{ name, value: "1" }] }, ...more },
  });
  const allowed = allowedSysctls(["kernel.msg*", "net/core/somaxconn", "net.ipv4.*"]);
  const why = (name: string, more = {}) => refuseSysctls(podWith(name, more), allowed)?.message;
  expect(why("kernel.msgmax")).toBeUndefined();
  expect(why("net.core.somaxconn")).toBeUndefined();
  expect(why("net/ipv4/conf/eth0.1/forwarding")).toBeUndefined();
  expect(why("kernel.shmmax")).toBe('forbidden sysctl: "kernel.shmmax" not allowlisted');
  expect(why("kernel.msgmax", { hostIPC: true })).toBe(
    'forbidden sysctl: "kernel.msgmax" not allowed with host ipc enabled',
  );
  expect(why("net.core.somaxconn", { hostNetwork: true })).toBe(
    'forbidden sysctl: "net.core.somaxconn" not allowed with host net enabled',
  );
  expect(refuseSysctls(podWith("net.core.somaxconn"))?.reason).toBe("SysctlForbidden");
});

test("a rate lets a burst through, and then one at a time", () => {
  let now_ms = 0;
  const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, () => now_ms);
  const taken = (): boolean[] => [bucket.take(), bucket.take(), bucket.take(), bucket.take()];
  expect(taken()).toEqual([true, true, true, false]);
  now_ms = 500;
  expect(taken()).toEqual([true, false, false, false]);
  expect([bucket.reserve_ms(), bucket.reserve_ms()]).toEqual([500, 1000]);
  const free = new TokenBucket({ perSecond: 0, burst: 0 }, () => now_ms);
  expect([free.take(), free.reserve_ms()]).toEqual([true, 0]);
});

test("no pause between starts is longer than is set", () => {
  const backOff = BackOff.upTo(4_000);
  backOff.next("a", 0, 0);
  expect(backOff.get("a")?.delay_ms).toBe(4_000);
  const usual = BackOff.upTo(300_000);
  usual.next("a", 0, 0);
  usual.next("a", 1, 1);
  expect(usual.get("a")?.delay_ms).toBe(20_000);
});
