import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Log } from "#shared/client/log.ts";
import type { ProxyTuning } from "#shared/config/proxy-tuning.ts";

type Settings = Pick<
  ProxyTuning,
  | "conntrackMaxPerCore"
  | "conntrackMin"
  | "conntrackTcpTimeoutEstablished"
  | "conntrackTcpTimeoutCloseWait"
  | "conntrackTcpBeLiberal"
  | "conntrackUdpTimeout"
  | "conntrackUdpTimeoutStream"
  | "oomScoreAdj"
>;

/** Files of the kernel and what is to stand in them: what is not set stays as it is (pure). */
export function kernelSettings(settings: Settings, cores = availableParallelism()): ReadonlyMap<string, number> {
  const { conntrackMaxPerCore: perCore, conntrackMin: least = 0, oomScoreAdj } = settings;
  const conntrack = (name: string): string => `/proc/sys/net/netfilter/nf_conntrack_${name}`;
  const seconds = (duration_ms: number): number => Math.floor(duration_ms / 1000);
  const wanted: [string, number | undefined][] = [
    // As upstream's: none for each core leaves the bound alone, whatever the least is.
    [conntrack("max"), perCore ? Math.max(perCore * cores, least) : undefined],
    [conntrack("tcp_timeout_established"), seconds(settings.conntrackTcpTimeoutEstablished) || undefined],
    [conntrack("tcp_timeout_close_wait"), seconds(settings.conntrackTcpTimeoutCloseWait) || undefined],
    [conntrack("tcp_be_liberal"), settings.conntrackTcpBeLiberal ? 1 : undefined],
    [conntrack("udp_timeout"), seconds(settings.conntrackUdpTimeout) || undefined],
    [conntrack("udp_timeout_stream"), seconds(settings.conntrackUdpTimeoutStream) || undefined],
    ["/proc/self/oom_score_adj", oomScoreAdj],
  ];
  return new Map(wanted.filter((one): one is [string, number] => one[1] !== undefined));
}

/** What cannot be set is told of; Services work without it. */
export function setKernel(settings: ReadonlyMap<string, number>, log: Log): void {
  for (const [path, value] of settings) {
    try {
      if (Number(readFileSync(path, "utf8")) !== value) writeFileSync(path, String(value));
    } catch (error) {
      log.warn("a setting of the kernel stays as it is", { path, value, error });
    }
  }
}
