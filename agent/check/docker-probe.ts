import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { parseNetworks } from "#shared/config/networks.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { readIfPresent } from "#shared/files/if-present.ts";
import { type DockerDaemonFacts, type DockerNetwork, parseDaemonSettings } from "./docker-daemon.ts";
import { deviceOf, type Mount, parseMounts } from "./mounts.ts";

/** A board that boots, with all its containers and a slow card, takes its time; a daemon that hangs is told from it. */
export const dockerAnswer_ms = 30_000;

/** What the parts of Docker's answers are that are looked at. */
interface Info {
  readonly LoggingDriver?: string;
  readonly LiveRestoreEnabled?: boolean;
  readonly Driver?: string;
  readonly DockerRootDir?: string;
  readonly CgroupDriver?: string;
  readonly CgroupVersion?: string;
  readonly Swarm?: { readonly LocalNodeState?: string };
  readonly DefaultAddressPools?: readonly { readonly Base?: string }[] | null;
}
interface Network {
  readonly Name?: string;
  readonly IPAM?: { readonly Config?: readonly { readonly Subnet?: string }[] | null };
}
interface Version {
  readonly Components?: readonly { readonly Name?: string }[] | null;
}

/** Asks the daemon at this socket. undefined: it does not answer, or is Podman, which has other settings. */
export async function probeDocker(
  socket: string,
  settings: Pick<MasterSettings, "clusterCidr" | "serviceCidr">,
): Promise<DockerDaemonFacts | undefined> {
  const ask = async <T>(path: string): Promise<T> => {
    const signal = AbortSignal.timeout(dockerAnswer_ms);
    const answer = await fetch(`http://localhost${path}`, { unix: socket, signal });
    if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
    return (await answer.json()) as T;
  };
  const answers = await Promise.all([ask<Info>("/info"), ask<Network[]>("/networks"), ask<Version>("/version")]).catch(
    () => undefined,
  );
  if (answers === undefined) return undefined;
  const [info, networks, version] = answers;
  if (version.Components?.some(({ Name }) => Name?.startsWith("Podman"))) return undefined;
  const flags = await daemonFlags();
  const file = flagValue(flags, "config-file") ?? "/etc/docker/daemon.json";
  const mounts = parseMounts(await readFile("/proc/self/mountinfo", "utf8"));
  const dataRoot = info.DockerRootDir ?? "/var/lib/docker";
  return {
    settings: parseDaemonSettings(await readIfPresent(file)),
    file,
    flags,
    logDriver: info.LoggingDriver ?? "",
    storageDriver: info.Driver ?? "",
    cgroupDriver: info.CgroupDriver ?? "",
    cgroupVersion: info.CgroupVersion ?? "1",
    isLiveRestored: info.LiveRestoreEnabled === true,
    isInSwarm: info.Swarm?.LocalNodeState === "active",
    dataRoot,
    isOnCard: isCard(deviceOf(dataRoot, mounts)),
    otherDisk: mounts.find(isOtherDisk)?.point,
    hasSystemd: existsSync("/run/systemd/system"),
    networks: networks.flatMap(({ Name, IPAM }) => subnetsOf(Name ?? "", IPAM?.Config ?? [])),
    pools: (info.DefaultAddressPools ?? []).flatMap(({ Base }) => (Base === undefined ? [] : [Base])),
    clusterNetworks: (["cluster-cidr", "service-cidr"] as const).flatMap((name) =>
      parseNetworks(name, name === "cluster-cidr" ? settings.clusterCidr : settings.serviceCidr).map(({ cidr }) => ({
        name,
        cidr,
      })),
    ),
  };
}

const subnetsOf = (name: string, config: readonly { readonly Subnet?: string }[]): DockerNetwork[] =>
  config.flatMap(({ Subnet }) => (Subnet ? [{ name, cidr: Subnet }] : []));

const isCard = (device: string | undefined): boolean => device?.startsWith("/dev/mmcblk") === true;
/** A disk that is mounted beside the card, not a stick that somebody has put in. */
const isOtherDisk = ({ device, point }: Mount): boolean =>
  /^\/dev\/(sd|nvme)/.test(device) && !/^\/(boot|media|run|$)/.test(point) && point !== "/";

/** `--name VALUE` or `--name=VALUE`. */
function flagValue(flags: readonly string[], name: string): string | undefined {
  const at = flags.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  if (at < 0) return undefined;
  return flags[at]?.includes("=") ? flags[at]?.slice(name.length + 3) : flags[at + 1];
}

/** Of the first dockerd that runs here. */
async function daemonFlags(): Promise<string[]> {
  for (const pid of await readdir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    // A process may end meanwhile.
    const words = (await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")).split("\0");
    if (words[0]?.endsWith("dockerd")) return words.slice(1);
  }
  return [];
}
