/** What of Docker's own settings matters on a board: how its logs are bounded, whether pods outlive its restart, where it keeps
 *  images, and whether its networks take addresses of the cluster. Pods' logs are bounded by the kubelet in any case. */
import { BlockList, isIPv4 } from "node:net";
import { readIfPresent } from "#shared/files/if-present.ts";
import { writeSecureFile } from "#shared/files/secure-file.ts";
import type { Verdict } from "./verdict.ts";

export interface DockerDaemonFacts {
  /** Where its settings are. */
  readonly file: string;
  /** What the file says; undefined: it is no JSON object. */
  readonly settings: Readonly<Record<string, unknown>> | undefined;
  /** Words of the daemon's command line: a setting in both keeps it from starting. */
  readonly flags: readonly string[];
  readonly logDriver: string;
  readonly storageDriver: string;
  readonly cgroupDriver: string;
  readonly cgroupVersion: string;
  readonly isLiveRestored: boolean;
  /** Then it refuses live-restore. */
  readonly isInSwarm: boolean;
  readonly dataRoot: string;
  /** Lies on an SD card or eMMC. */
  readonly isOnCard: boolean;
  /** Where another disk of this machine is mounted for good, if one is. */
  readonly otherDisk: string | undefined;
  readonly hasSystemd: boolean;
  readonly networks: readonly DockerNetwork[];
  /** Those out of which it takes further networks, if they were set. */
  readonly pools: readonly string[];
  readonly clusterNetworks: readonly DockerNetwork[];
}

export interface DockerNetwork {
  readonly name: string;
  readonly cidr: string;
}

export type DaemonSettings = Readonly<Record<string, unknown>>;

/** One thing to say of Docker's settings, and what `--fix` adds to the file. */
export interface DockerAdvice extends Verdict {
  readonly change?: DaemonSettings | undefined;
}

const logBounds: DaemonSettings = { "log-opts": { "max-size": "10m", "max-file": "3" } };
const liveRestore: DaemonSettings = { "live-restore": true };
const unboundedDrivers = ["json-file"];
/** A whole copy of the image for each container, or gone from later versions. */
const poorStorage: Readonly<Record<string, string>> = {
  vfs: "each layer is a whole copy",
  aufs: "Docker 24 and later have it no more",
  devicemapper: "Docker 25 and later have it no more",
  overlay: "Docker 24 and later have it no more",
};

/** Pure. One piece of advice a subject. */
export function adviseDocker(facts: DockerDaemonFacts): DockerAdvice[] {
  const { settings, hasSystemd, file } = facts;
  if (settings === undefined)
    return [note("Docker's settings", `${file} is no JSON object`, `see what Docker says: dockerd --validate`)];
  return [
    logAdvice(facts, settings),
    liveRestoreAdvice(facts),
    storageAdvice(facts),
    dataRootAdvice(facts),
    ...(hasSystemd && facts.cgroupVersion === "2" && facts.cgroupDriver === "cgroupfs" ? [cgroupAdvice(file)] : []),
    ...collisions(facts),
  ];
}

function logAdvice({ file, logDriver, flags }: DockerDaemonFacts, settings: DaemonSettings): DockerAdvice {
  const options = (settings["log-opts"] ?? {}) as DaemonSettings;
  const isBounded = "max-size" in options || hasFlag(flags, "log-opt", "max-size");
  const subject = "Docker's logs";
  if (isBounded || !unboundedDrivers.includes(logDriver)) return ok(subject, `bounded (${logDriver})`);
  // A flag of the same name keeps the daemon from starting.
  const change = hasFlag(flags, "log-opt") ? undefined : logBounds;
  return note(
    subject,
    `containers of yours, other than pods, log to the card without bound (${logDriver})`,
    `${lineOf(logBounds)} in ${file}, then sudo systemctl restart docker; for containers made from then on`,
    change,
  );
}

function liveRestoreAdvice({ file, isLiveRestored, isInSwarm, flags }: DockerDaemonFacts): DockerAdvice {
  const subject = "Docker's live-restore";
  if (isLiveRestored) return ok(subject, "pods go on while Docker is restarted or updated");
  const finding = "pods end when Docker is restarted or updated";
  if (isInSwarm) return note(subject, `${finding}: it cannot be switched on in a swarm`, "docker swarm leave");
  return note(
    subject,
    finding,
    `${lineOf(liveRestore)} in ${file}, then sudo systemctl reload docker`,
    hasFlag(flags, "live-restore") ? undefined : liveRestore,
  );
}

function storageAdvice({ file, storageDriver }: DockerDaemonFacts): DockerAdvice {
  const subject = "Docker's storage";
  const reason = poorStorage[storageDriver];
  if (reason === undefined) return ok(subject, storageDriver);
  return note(
    subject,
    `driver ${storageDriver}: ${reason}`,
    `"storage-driver": "overlay2" in ${file}, then sudo systemctl restart docker; images are pulled anew`,
  );
}

function dataRootAdvice({ file, dataRoot, isOnCard, otherDisk }: DockerDaemonFacts): DockerAdvice {
  const subject = "Docker's data";
  if (!isOnCard) return ok(subject, dataRoot);
  const finding = `images, containers and their logs lie on the card (${dataRoot})`;
  if (otherDisk === undefined) return ok(subject, finding);
  return note(
    subject,
    `${finding}, and there is a disk at ${otherDisk}`,
    `"data-root": "${otherDisk}/docker" in ${file}, then sudo systemctl restart docker; images are pulled anew`,
  );
}

const cgroupAdvice = (file: string): DockerAdvice =>
  note(
    "Docker's cgroups",
    "driver cgroupfs beside systemd: two programs manage one tree, and limits of pods may be lost",
    `"exec-opts": ["native.cgroupdriver=systemd"] in ${file}, then sudo systemctl restart docker`,
  );

/** A network that has addresses of pods or Services takes their packets. */
function collisions({ file, networks, pools, clusterNetworks }: DockerDaemonFacts): DockerAdvice[] {
  const subject = "Docker's networks";
  const free = `"default-address-pools": [{"base": "172.30.0.0/16", "size": 24}] in ${file}, or others that are free`;
  const taken = networks.flatMap((network) =>
    clusterNetworks
      .filter(({ cidr }) => overlap(network.cidr, cidr))
      .map(({ name, cidr }) =>
        fail(
          subject,
          `the network "${network.name}" (${network.cidr}) takes addresses of ${name} (${cidr})`,
          `docker network rm ${network.name}; ${free}; or another --${name} for the whole cluster`,
        ),
      ),
  );
  const possible = pools.flatMap((pool) =>
    clusterNetworks
      .filter(({ cidr }) => overlap(pool, cidr))
      .map(({ name, cidr }) =>
        note(
          subject,
          `default-address-pools has ${pool}, in which ${name} (${cidr}) lies: a new network may take it`,
          free,
        ),
      ),
  );
  const found = [...taken, ...possible];
  return found.length > 0 ? found : [ok(subject, "none has addresses of pods or Services")];
}

/** Whether two networks have addresses in common; those of different families have none. */
export function overlap(one: string, other: string): boolean {
  const holds = (network: string, address: string): boolean => {
    const [base = "", length = ""] = network.split("/");
    const family = isIPv4(base) ? "ipv4" : "ipv6";
    const list = new BlockList();
    list.addSubnet(base, Number(length), family);
    return list.check(address, isIPv4(address) ? "ipv4" : "ipv6");
  };
  const baseOf = (network: string): string => network.split("/")[0] ?? "";
  return holds(one, baseOf(other)) || holds(other, baseOf(one));
}

/** `--live-restore`, `--log-opt max-size=10m`, `--log-opt=max-size=10m`. */
function hasFlag(flags: readonly string[], name: string, value = ""): boolean {
  return flags.some((word, index) => {
    if (word === `--${name}`) return (flags[index + 1] ?? "").startsWith(value);
    return word.startsWith(`--${name}=${value}`);
  });
}

/** Without the braces, as one writes it into the file. */
const lineOf = (settings: DaemonSettings): string => JSON.stringify(settings).slice(1, -1).replaceAll('":', '": ');

/** The file's settings with others in it (pure); what it has of a mapping stays. */
export function withDaemonSettings(present: DaemonSettings, changes: DaemonSettings): Record<string, unknown> {
  const isMapping = (value: unknown): value is DaemonSettings =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  const merged: Record<string, unknown> = { ...present };
  for (const [key, value] of Object.entries(changes)) {
    const former = merged[key];
    merged[key] = isMapping(former) && isMapping(value) ? { ...value, ...former } : value;
  }
  return merged;
}

/** Puts settings into Docker's file, as it is then old or new and never in part; the old one stays beside it. Rejects for a
 *  file that is no JSON object. */
export async function writeDaemonSettings(file: string, changes: DaemonSettings): Promise<void> {
  const before = await readIfPresent(file);
  const present = parseDaemonSettings(before);
  if (present === undefined) throw new Error(`${file} is no JSON object`);
  const backup = `${file}.before-bramble`;
  if (before !== undefined && (await readIfPresent(backup)) === undefined) await writeSecureFile(backup, before, 0o644);
  await writeSecureFile(file, `${JSON.stringify(withDaemonSettings(present, changes), null, 2)}\n`, 0o644);
}

/** No file is no settings; undefined for what is no JSON object. */
export function parseDaemonSettings(text: string | undefined): DaemonSettings | undefined {
  if (text === undefined || text.trim() === "") return {};
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function ok(subject: string, finding: string): DockerAdvice {
  return { level: "ok", subject, finding };
}

function note(subject: string, finding: string, mend: string, change?: DaemonSettings): DockerAdvice {
  return { level: "note", subject, finding, mend, change };
}

function fail(subject: string, finding: string, mend: string): DockerAdvice {
  return { level: "FAIL", subject, finding, mend };
}
