import { memoryCgroupArguments } from "./boot-arguments.ts";
import { judgeClockSaves } from "./clock-saves.ts";
import { adviseDocker } from "./docker-daemon.ts";
import type {
  CgroupFacts,
  DiskFacts,
  KernelFeature,
  MachineFacts,
  PortFacts,
  ProbeFileFacts,
  RuntimeFacts,
} from "./facts.ts";
import { judgeFolders } from "./folders.ts";
import { judgeJournal } from "./journal.ts";
import { judgeSettings } from "./settings.ts";

/** ok: fine. note: works, but a person should know. FAIL: Bramble cannot run, and `mend` says what to do. */
export interface Verdict {
  readonly level: "ok" | "note" | "FAIL";
  readonly subject: string;
  readonly finding: string;
  readonly mend?: string | undefined;
}

export type Role = "master" | "worker";

const MiB = 1024 ** 2;
const smallestMemory_bytes: Readonly<Record<Role, number>> = { master: 700 * MiB, worker: 350 * MiB };
const smallestDisk_bytes = 500 * MiB;
const comfortableDisk_bytes = 2048 * MiB;
const fewestInodes = 20_000;
const oldestDocker = [20, 10] as const;
const commonPage_bytes = 4096;

/** One verdict a subject, in the order in which a person mends them. Pure. */
export function judge(facts: MachineFacts, role: Role): Verdict[] {
  return [
    ...(facts.isRoot ? [] : [note("rights", "not run as root: some things cannot be seen", "sudo bramble check")]),
    ok("processor", `${facts.processor}, kernel ${facts.kernel}`),
    hostNameVerdict(facts.hostName),
    memoryVerdict(facts, role),
    ...(facts.swap.length > 0
      ? [
          note(
            "swap",
            `on ${facts.swap.join(", ")}: swapping pods wears an SD card`,
            "sudo swapoff -a, or swap to zram only",
          ),
        ]
      : []),
    pageVerdict(facts.pageSize_bytes),
    clockVerdict(facts.clock),
    undervoltageVerdict(facts.undervoltage),
    diskVerdict(facts.disk),
    ...judgeFolders(facts.folders),
    ...(facts.probeFiles ? [probeFileVerdict(facts.probeFiles)] : []),
    cgroupVerdict(facts.cgroups),
    ...facts.kernelFeatures.map(featureVerdict),
    programsVerdict(facts),
    cniVerdict(facts.cni),
    runtimeVerdict(facts.runtime),
    ...(facts.docker ? adviseDocker(facts.docker).map(({ change: _, ...verdict }) => verdict) : []),
    ...(facts.journal ? [judgeJournal(facts.journal)] : []),
    ...(facts.clockSaves === undefined ? [] : [judgeClockSaves(facts.clockSaves)]),
    routeVerdict(facts.hasDefaultRoute),
    judgeSettings(facts.settings, role),
    ...facts.ports.map(portVerdict),
  ];
}

function ok(subject: string, finding: string): Verdict {
  return { level: "ok", subject, finding };
}

function note(subject: string, finding: string, mend?: string): Verdict {
  return { level: "note", subject, finding, mend };
}

function fail(subject: string, finding: string, mend: string): Verdict {
  return { level: "FAIL", subject, finding, mend };
}

function hostNameVerdict(name: string): Verdict {
  const mend = "sudo hostnamectl set-hostname NAME, or the flag --node-name";
  const lower = name.toLowerCase();
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(lower) || lower.length > 63)
    return note("host name", `"${name}" is no valid name of a Node, so it is changed for one that is`, mend);
  if (lower === "localhost") return note("host name", "it is localhost, which tells boards not apart", mend);
  return ok("host name", name);
}

function memoryVerdict({ memory_bytes, hasZram }: MachineFacts, role: Role): Verdict {
  const finding = `${Math.round(memory_bytes / MiB)} MiB`;
  if (memory_bytes >= smallestMemory_bytes[role]) return ok("memory", finding);
  return note(
    "memory",
    `${finding} is little for a ${role}; few pods will fit`,
    hasZram ? undefined : "compressed memory makes room for more: sudo apt-get install zram-tools",
  );
}

function pageVerdict(pageSize_bytes: number | undefined): Verdict {
  if (pageSize_bytes === undefined || pageSize_bytes === commonPage_bytes) return ok("page size", "4 KiB");
  return note(
    "page size",
    `${pageSize_bytes / 1024} KiB: some images (jemalloc, old Redis, Elasticsearch) end with "Unsupported system page size"`,
    "on a Pi 5, kernel=kernel8.img in /boot/firmware/config.txt and a restart give 4 KiB pages",
  );
}

function clockVerdict({ now_ms, builtAt_ms }: MachineFacts["clock"]): Verdict {
  const shown = new Date(now_ms).toISOString();
  if (now_ms >= builtAt_ms) return ok("clock", shown);
  return note(
    "clock",
    `it shows ${shown}, which is before this program was made: Bramble puts it forward when it starts`,
    "sudo timedatectl set-ntp true, and wait for the time; without a network, sudo date -s 'YYYY-MM-DD HH:MM'",
  );
}

function undervoltageVerdict({ now, sinceBoot }: MachineFacts["undervoltage"]): Verdict {
  const mend = "use the supply made for this board, a short thick cable, and fewer USB devices";
  if (now) return note("power", "the supply is too weak NOW; the board slows down and may crash", mend);
  if (sinceBoot) return note("power", "the supply was too weak at times since this board started", mend);
  return ok("power", now === undefined ? "nothing on this machine measures it" : "the supply is strong enough");
}

function diskVerdict({ path, free_bytes, freeInodes, isWritable }: DiskFacts): Verdict {
  const finding = `${Math.round(free_bytes / MiB)} MiB free at ${path}`;
  const mend = "docker system prune, sudo apt-get clean, or a larger card";
  if (!isWritable)
    return fail(
      "disk",
      `${path} cannot be written`,
      "a card that wears out is mounted read-only (dmesg); a root that is to be so needs data-dir on another disk",
    );
  if (free_bytes < smallestDisk_bytes)
    return fail("disk", `only ${finding}; ${smallestDisk_bytes / MiB} are needed`, mend);
  if (freeInodes !== undefined && freeInodes < fewestInodes)
    return fail("disk", `only ${freeInodes} files can still be made at ${path}; ${fewestInodes} are needed`, mend);
  return free_bytes < comfortableDisk_bytes ? note("disk", `${finding}: few images fit`, mend) : ok("disk", finding);
}

function probeFileVerdict({ folder, isInMemory }: ProbeFileFacts): Verdict {
  if (isInMemory) return ok("exec probes", `their files are in memory (${folder})`);
  return note(
    "exec probes",
    `each makes and removes a file in ${folder}, which is on the card: up to half a gigabyte a day is written for it`,
    "run install.sh again with INSTALL_BRAMBLE_PROBE_FILES=memory before it, then start the pods anew",
  );
}

function cgroupVerdict({ version, controllers, isWritable, bootArgumentsFile, isAskedFor }: CgroupFacts): Verdict {
  const missing = ["memory", "cpu", "pids"].filter((name) => !controllers.includes(name));
  if (missing.length === 0)
    return isWritable
      ? ok("cgroups", `v${version} with memory, cpu and pids`)
      : note("cgroups", `v${version}, which cannot be written: containers are limited, pods as a whole are not`);
  if (!missing.includes("memory"))
    return note(
      "cgroups",
      `v${version} without ${missing.join(" and ")}: pods cannot be limited by it${missing.includes("cpu") ? ", and have no groups of their own" : ""}`,
    );
  const finding = "the memory controller is off, as Raspberry Pi OS has it: no pod could be limited";
  if (isAskedFor)
    return fail("cgroups", `${finding}; ${bootArgumentsFile} switches it on from the next boot on`, "sudo reboot");
  return fail(
    "cgroups",
    finding,
    bootArgumentsFile === undefined
      ? `add "${memoryCgroupArguments}" to the kernel's boot arguments and restart`
      : `sudo sed -i '1 s/$/ ${memoryCgroupArguments}/' ${bootArgumentsFile} && sudo reboot   (all on its one line; bramble check --fix does that)`,
  );
}

function featureVerdict({ name, weight, purpose, module, state, detail }: KernelFeature): Verdict {
  if (state === "present") return ok(name, purpose);
  if (state === "unknown") return note(name, `could not be tried (${detail}); needed for: ${purpose}`);
  const finding = `the kernel lacks it (${detail}); needed for: ${purpose}`;
  const load =
    module === undefined
      ? "use your distribution's standard kernel"
      : `sudo modprobe ${module}; if there is no such module, restart (the kernel was updated) or install the distribution's standard kernel (on Ubuntu for the Pi: sudo apt-get install linux-modules-extra-raspi)`;
  return weight === "needed" ? fail(name, finding, load) : note(name, finding, load);
}

function programsVerdict({ missingPrograms }: MachineFacts): Verdict {
  if (missingPrograms.length === 0) return ok("programs", "all that is needed is installed");
  const packages = [...new Set(missingPrograms.map(({ debianPackage }) => debianPackage))];
  return fail(
    "programs",
    `missing: ${missingPrograms.map(({ program, purpose }) => `${program} (${purpose})`).join(", ")}`,
    `sudo apt-get install ${packages.join(" ")}`,
  );
}

function cniVerdict({ folders, missingPlugins }: MachineFacts["cni"]): Verdict {
  if (missingPlugins.length === 0) return ok("CNI plugins", "bridge, host-local and portmap are there");
  return fail(
    "CNI plugins",
    `${missingPlugins.join(", ")} not in ${folders.join(" or ")}: pods get no network`,
    "sudo apt-get install containernetworking-plugins",
  );
}

function runtimeVerdict({ socket, isCri, version, problem }: RuntimeFacts): Verdict {
  if (isCri) {
    return version === undefined
      ? fail("container runtime", `no answer at ${socket}: ${problem}`, "see that it runs, with its CRI plugin enabled")
      : ok("container runtime", `${version} at ${socket}`);
  }
  if (version === undefined)
    return fail(
      "Docker",
      `no answer at ${socket}: ${problem}`,
      "sudo apt-get install docker.io, then sudo systemctl enable --now docker",
    );
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  const isOld = major < oldestDocker[0] || (major === oldestDocker[0] && minor < oldestDocker[1]);
  return isOld
    ? fail(
        "Docker",
        `version ${version}; ${oldestDocker.join(".")} or later is needed`,
        "sudo apt-get install docker.io",
      )
    : ok("Docker", `${version} at ${socket}`);
}

function routeVerdict(hasDefaultRoute: boolean): Verdict {
  return hasDefaultRoute
    ? ok("network", "there is a default route")
    : note(
        "network",
        "there is no default route, by which Bramble knows the board's address and what runs beside pods reaches Services",
        "set one, be it to a router that does not answer; or name the address with --node-ip, and do without Services there",
      );
}

function portVerdict({ port, purpose, holder }: PortFacts): Verdict {
  if (holder === undefined) return ok(`port ${port}`, `free, for ${purpose}`);
  if (holder.startsWith("bramble")) return ok(`port ${port}`, `Bramble listens, for ${purpose}`);
  return fail(
    `port ${port}`,
    `${holder} listens there, and Bramble needs it for ${purpose}`,
    "end that program (another Kubernetes on this machine?), or set another port in /etc/bramble/config.yaml",
  );
}
