import { existsSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { isVirtualInterface } from "#shared/board/addresses.ts";
import { contains, parseCidr } from "#shared/board/cidr.ts";
import { assertSamePrimary, dnsAddress, parseNetworks } from "#shared/config/networks.ts";
import { ConfigError } from "#shared/config/option.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { namedIn } from "../node-addresses.ts";
import { parseLabels, parseTaint } from "../node-settings.ts";
import { overlap } from "./docker-daemon.ts";
import type { NetworkFacts, SettingsFacts } from "./facts.ts";
import type { Role, Verdict } from "./verdict.ts";

/** What is wrong with settings that are otherwise read when the agent starts, and whose networks they take addresses of. */
export function probeSettings(settings: MasterSettings, role: Role): SettingsFacts {
  try {
    parseLabels(settings.nodeLabel);
    settings.nodeTaint.forEach(parseTaint);
    namedIn(settings.nodeIp);
    // A worker is told the cluster's by its master.
    if (role === "master") {
      assertSamePrimary(settings);
      dnsAddress(settings);
    }
    const pods = parseNetworks("cluster-cidr", settings.clusterCidr).map(({ cidr }) => cidr);
    const services = parseNetworks("service-cidr", settings.serviceCidr).map(({ cidr }) => cidr);
    return { networks: { pods, services, board: isOfCluster(settings) ? [] : boardNetworks() } };
  } catch (error) {
    if (error instanceof ConfigError) return { problem: error.message };
    throw error;
  }
}

/** Bramble's own interfaces then have addresses of the cluster's networks. */
const isOfCluster = ({ dataDir }: MasterSettings): boolean =>
  existsSync(join(dataDir, "agent/identity/board.json")) || existsSync(join(dataDir, "pki/ca.crt"));

/** What the board's links lead to. */
function boardNetworks(): NetworkFacts["board"] {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !isVirtualInterface(name))
    .flatMap(([name, addresses = []]) => addresses.flatMap(({ cidr }) => (cidr ? [{ name, cidr }] : [])));
}

/** One verdict. Pure. */
export function judgeSettings({ problem, networks }: SettingsFacts, role: Role): Verdict {
  if (problem !== undefined)
    return {
      level: "FAIL",
      subject: "settings",
      finding: problem,
      mend: "mend that flag, or its key in /etc/bramble/config.yaml",
    };
  const other = "give others that are free, such as --cluster-cidr 10.142.0.0/16 --service-cidr 10.143.0.0/16";
  const { pods = [], services = [], board = [] } = networks ?? {};
  const shared = pods.find((each) => services.some((service) => overlap(each, service)));
  if (shared !== undefined)
    return {
      level: "FAIL",
      subject: "networks",
      finding: `pods and Services share addresses of ${shared}`,
      mend: other,
    };
  const cluster = [
    ...pods.map((cidr) => ({ what: "pods", cidr })),
    ...services.map((cidr) => ({ what: "Services", cidr })),
  ];
  for (const link of board) {
    const taken = cluster.find(({ cidr }) => overlap(cidr, link.cidr));
    if (taken === undefined) continue;
    const finding = `${taken.what} are to have addresses of ${taken.cidr}, as this board's ${link.name} has (${link.cidr})`;
    if (role === "worker")
      return { level: "note", subject: "networks", finding: `unless the cluster has others, ${finding}` };
    // In a larger network the board still reaches all but those.
    const isInside = holdsAddress(taken.cidr, link.cidr);
    return { level: isInside ? "FAIL" : "note", subject: "networks", finding, mend: other };
  }
  return { level: "ok", subject: "networks", finding: `pods ${pods.join(",")}, Services ${services.join(",")}` };
}

function holdsAddress(network: string, address: string): boolean {
  const [outer, inner] = [parseCidr(network), parseCidr(address.replace(/\/.*/, ""))];
  return outer !== undefined && inner !== undefined && contains(outer, inner);
}
