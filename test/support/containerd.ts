import { execFileSync, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pauseImageArchive, pauseImageReference } from "#agent/runtime/pause/pause-image.ts";
import { busyboxArchive, startAttempts, testImage } from "./dockerd.ts";
import { removeWithMounts } from "./remove-with-mounts.ts";

/** A containerd of a test's own with its CRI, and a board's network around it. */
export interface TestContainerd {
  readonly socketPath: string;
  /** Scratch directory of this daemon; goes with it. */
  readonly directory: string;
  /** /run/netns/NAME. */
  readonly namespaceName: string;
  /** CNI configurations; empty at first. */
  readonly cniConfigDirectory: string;
  /** containerd's own tool, in the namespace of Kubernetes' images and containers. */
  ctr(...args: string[]): string;
  stop(): Promise<void>;
}

/** Whether this machine can run the tests that need one. */
export function canRunContainerd(): boolean {
  const needed = ["containerd", "ctr", "runc", "busybox"];
  return process.getuid?.() === 0 && needed.every((program) => Bun.which(program) !== null);
}

const configuration = (directory: string): string => `version = 2
root = "${directory}/root"
state = "${directory}/state"
[grpc]
  address = "${directory}/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImageReference}"
  netns_mounts_under_state_dir = true
  # Where root may not lower it.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${directory}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
`;

/** Starts one and loads `testImage`. Call `stop` at the end, which leaves nothing behind. */
export async function startContainerd(): Promise<TestContainerd> {
  const directory = mkdtempSync(join(tmpdir(), "brc-"));
  const namespaceName = `brc-${randomBytes(4).toString("hex")}`;
  execFileSync("ip", ["netns", "add", namespaceName]);
  const namespace = `--net=/run/netns/${namespaceName}`;
  execFileSync("nsenter", [namespace, "ip", "link", "set", "lo", "up"]);
  const cniConfigDirectory = join(directory, "net.d");
  mkdirSync(cniConfigDirectory);
  const configPath = join(directory, "config.toml");
  writeFileSync(configPath, configuration(directory));
  const logPath = join(directory, "containerd.log");
  const log = openSync(logPath, "a");
  const daemon = spawn("nsenter", [namespace, "containerd", "--config", configPath], { stdio: ["ignore", log, log] });
  const exited = new Promise<void>((resolve) => daemon.once("exit", () => resolve()));
  const socketPath = join(directory, "c.sock");
  const ctr = (...args: string[]): string =>
    execFileSync("ctr", ["--address", socketPath, "--namespace", "k8s.io", ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
    });
  const load = (archive: Uint8Array): void => {
    const file = join(directory, "image.tar");
    writeFileSync(file, archive);
    ctr("images", "import", file);
  };

  const stop = async (): Promise<void> => {
    if (daemon.exitCode === null && daemon.signalCode === null) {
      for (const id of ctr("tasks", "list", "--quiet").trim().split("\n").filter(Boolean)) {
        try {
          ctr("tasks", "delete", "--force", id);
        } catch {
          // Gone meanwhile, with its sandbox.
        }
      }
      daemon.kill("SIGTERM");
      await exited;
    }
    execFileSync("ip", ["netns", "delete", namespaceName]);
    removeWithMounts(directory);
  };

  try {
    for (let attempt = 0; ; attempt++) {
      try {
        ctr("version");
        break;
      } catch (error) {
        if (attempt === startAttempts || daemon.exitCode !== null)
          throw new Error(`containerd did not start:\n${readFileSync(logPath, "utf8").slice(-4000)}`, { cause: error });
        await delay(100);
      }
    }
    load(pauseImageArchive({ x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch));
    load(busyboxArchive(testImage));
    return { socketPath, directory, namespaceName, cniConfigDirectory, ctr, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
