/** How Services are made to work, and what is set in the kernel for them: flags and fields of upstream's kube-proxy. */
import { duration, flag, optionalInteger, texts, toggle, under, type ValuesOf } from "./option.ts";

const count = { min: 0, max: 2_147_483_647 };
const leftAsIs = "0s: as it is";

export const proxyTuningOptions = under("How Services work:", {
  nodeportAddresses: texts(
    "nodeport-addresses",
    "CIDR",
    "at which of the board's addresses node ports are answered, or `primary` (default: all)",
  ),
  iptablesLocalhostNodeports: toggle(
    "iptables-localhost-nodeports",
    "node ports are answered at 127.0.0.1, too (iptables mode)",
    true,
  ),
  masqueradeAll: toggle(
    "masquerade-all",
    "endpoints see the board as the client of whatever comes to a Service's address (iptables mode)",
    false,
  ),
  conntrackMaxPerCore: optionalInteger(
    "conntrack-max-per-core",
    "N",
    "connections that the kernel follows for each core; 0: as it is (default: as it is)",
    count,
  ),
  conntrackMin: optionalInteger("conntrack-min", "N", "and in all, at least", count),
  conntrackTcpTimeoutEstablished: duration(
    "conntrack-tcp-timeout-established",
    `how long it follows one on which nothing comes; ${leftAsIs}`,
    "0s",
  ),
  conntrackTcpTimeoutCloseWait: duration(
    "conntrack-tcp-timeout-close-wait",
    `the same for one that one side has closed; ${leftAsIs}`,
    "0s",
  ),
  conntrackTcpBeLiberal: toggle("conntrack-tcp-be-liberal", "take packets outside of a connection's window", false),
  conntrackUdpTimeout: duration(
    "conntrack-udp-timeout",
    `how long it follows UDP without an answer; ${leftAsIs}`,
    "0s",
  ),
  conntrackUdpTimeoutStream: duration("conntrack-udp-timeout-stream", `and with answers; ${leftAsIs}`, "0s"),
  oomScoreAdj: optionalInteger(
    "oom-score-adj",
    "N",
    "whom the kernel ends first when memory runs out (default: as it is)",
    { min: -1000, max: 1000 },
  ),
  cleanup: flag("cleanup", "remove the rules of Services, and end"),
} as const);

export type ProxyTuning = ValuesOf<typeof proxyTuningOptions>;
