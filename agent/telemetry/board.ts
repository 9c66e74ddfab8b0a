import { readdir, readFile } from "node:fs/promises";
import { cpus, hostname, release, totalmem } from "node:os";

/** What a board is: facts that hold until its next boot. */
export interface BoardFacts {
  readonly hostname: string;
  readonly cpus: number;
  readonly memory_bytes: number;
  readonly swap_bytes: number;
  /** Kubernetes' names: `arm64`, `amd64`. */
  readonly architecture: string;
  readonly machineId: string;
  readonly systemUuid: string;
  readonly bootId: string;
  readonly kernelVersion: string;
  readonly osImage: string;
  /** `Raspberry Pi 4 Model B Rev 1.4`; empty on a machine that does not say. */
  readonly model: string;
  /** A Pi's revision code, `c03114`, and its serial; empty elsewhere. */
  readonly revision: string;
  readonly serial: string;
  /** Sizes of huge pages that the kernel offers with how many are set aside. */
  readonly hugepages: readonly { readonly size_bytes: number; readonly count: number }[];
}

const architectures: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64", arm: "arm", ia32: "386" };

/** Reads the board's facts from the kernel; what is missing there stays empty. */
export async function readBoard(root = "/"): Promise<BoardFacts> {
  const text = (path: string): Promise<string> =>
    readFile(`${root}${path}`, "utf8").then(
      (content) => content.replaceAll("\0", "").trim(),
      () => "",
    );
  const [machineId, dmiUuid, serial, bootId, osRelease, treeModel, dmiModel, meminfo] = await Promise.all([
    text("etc/machine-id"),
    text("sys/class/dmi/id/product_uuid"),
    text("proc/device-tree/serial-number"),
    text("proc/sys/kernel/random/boot_id"),
    text("etc/os-release"),
    text("proc/device-tree/model"),
    text("sys/class/dmi/id/product_name"),
    text("proc/meminfo"),
  ]);
  const revision = await readFile(`${root}proc/device-tree/system/linux,revision`).catch(() => undefined);
  const memory = parseMeminfo(meminfo);
  return {
    hostname: hostname().toLowerCase(),
    cpus: cpus().length,
    memory_bytes: memory.get("MemTotal") ?? totalmem(),
    swap_bytes: memory.get("SwapTotal") ?? 0,
    architecture: architectures[process.arch] ?? process.arch,
    machineId,
    systemUuid: dmiUuid || serial || machineId,
    bootId,
    kernelVersion: release(),
    osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? "Linux",
    model: treeModel || dmiModel,
    revision: revision?.length === 4 ? revision.readUInt32BE().toString(16) : "",
    serial,
    hugepages: await readHugepages(root),
  };
}

/** Values of /proc/meminfo in bytes. */
export function parseMeminfo(text: string): Map<string, number> {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^([^:]+):\s+(\d+)(?: kB)?$/.exec(line);
    if (match?.[1] && match[2]) values.set(match[1], Number(match[2]) * (line.endsWith("kB") ? 1024 : 1));
  }
  return values;
}

async function readHugepages(root: string): Promise<{ size_bytes: number; count: number }[]> {
  const folder = `${root}sys/kernel/mm/hugepages`;
  const names = await readdir(folder).catch(() => []);
  return Promise.all(
    names.flatMap((name) => {
      const kilobytes = /^hugepages-(\d+)kB$/.exec(name)?.[1];
      if (kilobytes === undefined) return [];
      const count = readFile(`${folder}/${name}/nr_hugepages`, "utf8").then(Number, () => 0);
      return [count.then((count) => ({ size_bytes: Number(kilobytes) * 1024, count }))];
    }),
  );
}
