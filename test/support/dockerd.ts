import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { scratchImageArchive } from "#agent/runtime/scratch-image.ts";
import type { TarEntry } from "#agent/runtime/tar.ts";
import { removeWithMounts } from "./remove-with-mounts.ts";

/** A Docker daemon of a test's own, with a board's network around it. */
export interface TestDockerd {
  readonly socketPath: string;
  /** Scratch directory of this daemon; goes with it. */
  readonly directory: string;
  /** The network namespace that is the "board": /run/netns/NAME. */
  readonly namespaceName: string;
  readonly pid: number;
  /** CNI plugins that run inside the namespace, as they would on a board; for CniNetworkOptions.binDirectories. */
  readonly cniBinDirectory: string;
  /** Runs a command in the namespace; resolves with its standard output. Throws when it fails. */
  run(command: string, ...args: string[]): string;
  stop(): Promise<void>;
}

export interface TestDockerdOptions {
  readonly insecureRegistries?: readonly string[];
  /** Use this namespace (which is kept) instead of a new one. */
  readonly namespaceName?: string;
}

/** A static busybox with its applets; loaded into every test daemon. */
export const testImage = "docker.io/bramble-test/busybox:1";

const pluginSource = "/usr/lib/cni";
/** Of 100 ms each: a daemon may take its time on a busy machine. */
export const startAttempts = 2_400;

/** Whether this machine can run the tests that need a daemon: root, dockerd and busybox-static. */
export function canRunDockerd(): boolean {
  return process.getuid?.() === 0 && Bun.which("dockerd") !== null && Bun.which("busybox") !== null;
}

/**
 * Starts a daemon with data, sockets and a network namespace of its own, and loads `testImage`. Call `stop` at the end,
 * which leaves nothing behind. Rejects with the end of the daemon's log when it does not come up.
 */
export async function startDockerd(options: TestDockerdOptions = {}): Promise<TestDockerd> {
  // Short: the daemon puts sockets below it, whose paths may have 108 bytes.
  const directory = mkdtempSync(join(tmpdir(), "brt-"));
  const ownNamespace = options.namespaceName === undefined;
  const namespaceName = options.namespaceName ?? `brt-${randomBytes(4).toString("hex")}`;
  if (ownNamespace) execFileSync("ip", ["netns", "add", namespaceName]);
  const namespace = `--net=/run/netns/${namespaceName}`;
  const run = (command: string, ...args: string[]): string =>
    execFileSync("nsenter", [namespace, command, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  run("ip", "link", "set", "lo", "up");

  const socketPath = join(directory, "d.sock");
  const logPath = join(directory, "dockerd.log");
  const log = openSync(logPath, "a");
  const daemon = spawn(
    "nsenter",
    [
      namespace,
      "dockerd",
      `--data-root=${join(directory, "data")}`,
      `--exec-root=${join(directory, "exec")}`,
      `--pidfile=${join(directory, "pid")}`,
      `--host=unix://${socketPath}`,
      "--bridge=none",
      "--iptables=false",
      ...(options.insecureRegistries ?? []).map((registry) => `--insecure-registry=${registry}`),
    ],
    { stdio: ["ignore", log, log] },
  );
  const exited = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));

  const stop = async (): Promise<void> => {
    if (daemon.exitCode === null && daemon.signalCode === null) {
      await removeAllContainers(socketPath);
      daemon.kill("SIGTERM");
      await exited;
    }
    if (ownNamespace) execFileSync("ip", ["netns", "delete", namespaceName]);
    removeWithMounts(directory);
  };

  try {
    const docker = new Docker({ socketPath });
    await untilUp(docker, daemon, logPath);
    await loadTestImage(socketPath);
    const cniBinDirectory = writePluginWrappers(directory, namespace);
    return { socketPath, directory, namespaceName, pid: daemon.pid ?? 0, cniBinDirectory, run, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An image archive of the test image under another name, for what needs a second one, or one that holds more. */
export function busyboxArchive(
  reference: string,
  config: Readonly<Record<string, unknown>> = {},
  more: readonly TarEntry[] = [],
): Uint8Array {
  const busybox = readFileSync("/usr/bin/busybox");
  const applets = execFileSync("/usr/bin/busybox", ["--list"], { encoding: "utf8" }).trim().split("\n");
  const entries: TarEntry[] = [
    { path: "bin", type: "directory" },
    { path: "bin/busybox", mode: 0o755, content: busybox },
    ...applets
      .filter((applet) => applet !== "busybox")
      .map((applet): TarEntry => ({ path: `bin/${applet}`, type: "symlink", linkTarget: "busybox" })),
    { path: "etc", type: "directory" },
    { path: "etc/passwd", content: "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n" },
    { path: "etc/group", content: "root:x:0:\nnogroup:x:65534:\n" },
    { path: "tmp", type: "directory", mode: 0o1777 },
    ...more,
  ];
  const architecture = { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch;
  return scratchImageArchive({
    reference,
    architecture,
    entries,
    config: { Env: ["PATH=/bin"], Cmd: ["/bin/sh"], ...config },
  });
}

/** Loads `testImage` through a Docker API. */
export async function loadTestImage(socketPath: string): Promise<void> {
  const stream = await new Docker({ socketPath }).loadImage(Readable.from([Buffer.from(busyboxArchive(testImage))]), {
    quiet: true,
  });
  for await (const _ of stream) {
    // Read to its end: only then is the image there.
  }
}

async function untilUp(docker: Docker, daemon: { exitCode: number | null }, logPath: string): Promise<void> {
  for (let attempt = 0; attempt < startAttempts && daemon.exitCode === null; attempt++) {
    try {
      await docker.ping();
      return;
    } catch {
      await delay(100);
    }
  }
  throw new Error(`dockerd did not start:\n${readFileSync(logPath, "utf8").slice(-4000)}`);
}

/** Also those that somebody else is removing: until none is left. */
export async function removeAllContainers(socketPath: string): Promise<void> {
  const docker = new Docker({ socketPath });
  for (;;) {
    const containers = await docker.listContainers({ all: true });
    if (containers.length === 0) return;
    const removals = containers.map(({ Id }) => docker.getContainer(Id).remove({ force: true, v: true }));
    const outcomes = await Promise.allSettled(removals);
    for (const outcome of outcomes)
      if (outcome.status === "rejected" && !isBeingRemoved(outcome.reason)) throw outcome.reason;
    if (outcomes.some(({ status }) => status === "rejected")) await delay(50);
  }
}

/** Docker's 404 and 409: it is gone, or its removal is under way. */
const isBeingRemoved = (error: { readonly statusCode?: number }): boolean =>
  error.statusCode === 404 || error.statusCode === 409;

/** CNI plugins work in the caller's namespace, which in a test is the machine's: these enter the board's first. */
export function writePluginWrappers(directory: string, namespace: string): string {
  const bin = join(directory, "cni-bin");
  mkdirSync(bin);
  for (const plugin of ["bridge", "host-local", "portmap", "loopback", "ptp", "bandwidth"]) {
    const path = join(bin, plugin);
    writeFileSync(path, `#!/bin/sh\nexec nsenter ${namespace} ${pluginSource}/${plugin}\n`);
    chmodSync(path, 0o755);
  }
  return bin;
}
