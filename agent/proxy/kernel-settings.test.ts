import { expect, test } from "bun:test";
import { kernelSettings } from "./kernel-settings.ts";

const nothing = {
  conntrackMaxPerCore: undefined,
  conntrackMin: undefined,
  conntrackTcpTimeoutEstablished: 0,
  conntrackTcpTimeoutCloseWait: 0,
  conntrackTcpBeLiberal: false,
  conntrackUdpTimeout: 0,
  conntrackUdpTimeoutStream: 0,
  oomScoreAdj: undefined,
};

test("what is not set stays as it is", () => {
  expect(kernelSettings(nothing, 4).size).toBe(0);
  expect(kernelSettings({ ...nothing, conntrackMaxPerCore: 0, conntrackMin: 131_072 }, 4).size).toBe(0);
});

test("connections are counted for each core, with a least in all", () => {
  const max = (conntrackMaxPerCore: number, conntrackMin: number): unknown =>
    kernelSettings({ ...nothing, conntrackMaxPerCore, conntrackMin }, 4).get(
      "/proc/sys/net/netfilter/nf_conntrack_max",
    );
  expect([max(32_768, 131_072), max(65_536, 131_072)]).toEqual([131_072, 262_144]);
});

test("times are in the kernel's seconds", () => {
  const settings = kernelSettings({ ...nothing, conntrackTcpTimeoutEstablished: 86_400_000, oomScoreAdj: -999 }, 1);
  expect([...settings]).toEqual([
    ["/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established", 86_400],
    ["/proc/self/oom_score_adj", -999],
  ]);
});
