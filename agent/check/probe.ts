import { access, constants, readFile, statfs } from "node:fs/promises";
import { hostname, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { messageOf } from "#shared/api/joined-errors.ts";
import { defaultRouteInterface, defaultRouteInterfaceV6 } from "#shared/board/addresses.ts";
import type { MasterSettings } from "#shared/config/settings.ts";
import { builtAt_ms } from "#shared/version.ts";
import { speaksCri } from "../board-runtime.ts";
import { linuxHost } from "../host/linux-host.ts";
import { type CommandRunner, commandRunner } from "../network/command.ts";
import { readSensors } from "../telemetry/sensors.ts";
import { hasMemoryCgroup } from "./boot-arguments.ts";
import { probeClockSaves } from "./clock-saves.ts";
import { dockerAnswer_ms, probeDocker } from "./docker-probe.ts";
import type { CgroupFacts, DiskFacts, MachineFacts, MissingProgram, RuntimeFacts } from "./facts.ts";
import { probeFolders, writtenFolders } from "./folders.ts";
import { probeJournal } from "./journal.ts";
import { tryKernelFeatures } from "./kernel-features.ts";
import { probePorts, type WantedPort } from "./ports.ts";
import { probeFilesOf } from "./probe-files.ts";
import { probeSettings } from "./settings.ts";
import type { Role } from "./verdict.ts";

const neededPlugins = ["bridge", "host-local", "portmap"];

const neededPrograms: readonly MissingProgram[] = [
  { program: "iptables", debianPackage: "iptables", purpose: "Services" },
  { program: "iptables-restore", debianPackage: "iptables", purpose: "Services" },
  { program: "ipset", debianPackage: "ipset", purpose: "network policies" },
  { program: "conntrack", debianPackage: "conntrack", purpose: "Services over UDP" },
  { program: "ip", debianPackage: "iproute2", purpose: "routes between boards" },
  { program: "mount", debianPackage: "mount", purpose: "volumes" },
  { program: "nsenter", debianPackage: "util-linux", purpose: "pod networks" },
];

/** Looks at the machine it runs on. Takes up to some seconds; a probe that fails leaves its fact undefined. */
export async function probeMachine(settings: MasterSettings, role: Role): Promise<MachineFacts> {
  const run = commandRunner();
  const isRoot = process.getuid?.() === 0;
  const socket = settings.containerRuntimeEndpoint.replace(/^unix:\/\//, "");
  const found = await byName({
    pageSize: run("getconf", ["PAGESIZE"]).catch(() => ""),
    swaps: textOf("/proc/swaps"),
    routes: textOf("/proc/net/route"),
    routesV6: textOf("/proc/net/ipv6_route"),
    kernelFeatures: tryKernelFeatures(run, { isRoot }),
    cgroups: probeCgroups(),
    runtime: probeRuntime(socket),
    docker: speaksCri(socket) ? undefined : probeDocker(socket, settings),
    journal: probeJournal(),
    clockSaves: probeClockSaves(),
    missingPrograms: missingOf(neededPrograms),
    cni: probePlugins(settings.cniBinDir),
    ports: probePorts(wantedPorts(settings, role)),
    disk: probeDisk(settings.dataDir),
    folders: probeFolders(writtenFolders(settings, role)),
    probeFiles: probeFilesOf(),
    sensors: readSensors(),
  });
  const { pageSize, swaps, routes, routesV6, sensors, ...facts } = found;
  return {
    isRoot,
    processor: await processorName(run),
    kernel: release(),
    pageSize_bytes: Number(pageSize) || undefined,
    hostName: hostname(),
    memory_bytes: totalmem(),
    swap: parseSwaps(swaps),
    hasZram: /^\/dev\/zram/m.test(swaps),
    hasDefaultRoute: (defaultRouteInterface(routes) ?? defaultRouteInterfaceV6(routesV6)) !== undefined,
    ...facts,
    settings: probeSettings(settings, role),
    clock: { now_ms: Date.now(), builtAt_ms },
    undervoltage: { now: sensors.undervoltage, sinceBoot: sensors.undervoltageSeen },
  };
}

/** What all of them come to, each under its name. */
async function byName<T extends Readonly<Record<string, unknown>>>(
  promised: T,
): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const values = await Promise.all(Object.entries(promised).map(async ([name, value]) => [name, await value] as const));
  return Object.fromEntries(values) as { [K in keyof T]: Awaited<T[K]> };
}

function wantedPorts(settings: MasterSettings, role: Role): WantedPort[] {
  const kubelet = { port: settings.kubeletPort, purpose: "the kubelet" };
  if (role === "worker") return [kubelet];
  return [
    { port: settings.httpsPort, purpose: "the API server" },
    { port: settings.mqttPort, purpose: "heartbeats by MQTT" },
    ...(settings.noAgent ? [] : [kubelet]),
  ];
}

async function processorName(run: CommandRunner): Promise<string> {
  const model = (await textOf("/proc/device-tree/model")).replaceAll("\0", "");
  const machine = (await run("uname", ["-m"]).catch(() => process.arch)).trim();
  return model === "" ? machine : `${model} (${machine})`;
}

/** Swap areas that are no zram, from the text of /proc/swaps. */
export function parseSwaps(text: string): string[] {
  return text
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(/\s+/)[0] ?? "")
    .filter((path) => path !== "" && !path.startsWith("/dev/zram"));
}

async function probeCgroups(): Promise<CgroupFacts> {
  const unified = await textOf("/sys/fs/cgroup/cgroup.controllers");
  const bootArgumentsFile = await firstPresent(["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"]);
  const isAskedFor = bootArgumentsFile !== undefined && hasMemoryCgroup(await textOf(bootArgumentsFile));
  // Who is not root may not write there, which says nothing of the mount.
  const canWrite = async (path: string): Promise<boolean> =>
    process.getuid?.() !== 0 || (await isAccessible(path, constants.W_OK));
  return unified === ""
    ? {
        version: 1,
        controllers: parseCgroupsV1(await textOf("/proc/cgroups")),
        isWritable: await canWrite("/sys/fs/cgroup/memory"),
        bootArgumentsFile,
        isAskedFor,
      }
    : {
        version: 2,
        controllers: unified.trim().split(" "),
        isWritable: await canWrite("/sys/fs/cgroup"),
        bootArgumentsFile,
        isAskedFor,
      };
}

/** Names of controllers that are switched on, from the text of /proc/cgroups. */
export function parseCgroupsV1(text: string): string[] {
  return text
    .split("\n")
    .map((line) => line.split("\t"))
    .filter(([name, , , enabled]) => name !== undefined && !name.startsWith("#") && enabled === "1")
    .map(([name = ""]) => name);
}

async function probeRuntime(socket: string): Promise<RuntimeFacts> {
  const isCri = speaksCri(socket);
  const without = (problem: string): RuntimeFacts => ({ socket, isCri, version: undefined, problem });
  if (!(await isAccessible(socket, constants.F_OK))) return without("there is no such socket");
  try {
    return { socket, isCri, version: await (isCri ? criVersion : dockerVersion)(socket), problem: undefined };
  } catch (error) {
    return without(messageOf(error));
  }
}

async function dockerVersion(socket: string): Promise<string> {
  const answer = await fetch("http://localhost/version", {
    unix: socket,
    signal: AbortSignal.timeout(dockerAnswer_ms),
  });
  const { Version } = (await answer.json()) as { Version?: unknown };
  if (typeof Version !== "string") throw new Error(`it answered ${answer.status}`);
  return Version;
}

async function criVersion(socket: string): Promise<string> {
  const { CriRuntime } = await import("../runtime/cri/cri-runtime.ts");
  const runtime = new CriRuntime({
    socketPath: socket,
    host: linuxHost(),
    logRoot: "/var/log/pods",
    warn: () => undefined,
  });
  try {
    const { name, version } = await runtime.version();
    return `${name} ${version}`;
  } finally {
    runtime.close();
  }
}

/** Programs of root's PATH, whatever the PATH of who asks. */
async function missingOf(programs: readonly MissingProgram[]): Promise<MissingProgram[]> {
  const folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
  const found = await Promise.all(
    programs.map(({ program }) => firstPresent(folders.map((folder) => join(folder, program)))),
  );
  return programs.filter((_, index) => found[index] === undefined);
}

async function probePlugins(folders: readonly string[]): Promise<MachineFacts["cni"]> {
  const found = await Promise.all(
    neededPlugins.map((name) => firstPresent(folders.map((folder) => join(folder, name)))),
  );
  return { folders, missingPlugins: neededPlugins.filter((_, index) => found[index] === undefined) };
}

/** The data folder, or the nearest above it that is there already. */
async function probeDisk(dataDir: string): Promise<DiskFacts> {
  let path = dataDir;
  while (path !== "/" && !(await isAccessible(path, constants.F_OK))) path = dirname(path);
  const { bavail, bsize, files, ffree } = await statfs(path);
  return {
    path,
    free_bytes: bavail * bsize,
    freeInodes: files > 0 ? ffree : undefined,
    // Who is not root may not write there, which says nothing of the disk.
    isWritable: process.getuid?.() !== 0 || (await isAccessible(path, constants.W_OK)),
  };
}

async function firstPresent(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isAccessible(path, constants.F_OK)) return path;
  return undefined;
}

function isAccessible(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}

function textOf(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}
