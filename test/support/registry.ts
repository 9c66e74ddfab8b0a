import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import Docker from "dockerode";
import { startAttempts, type TestDockerd } from "./dockerd.ts";

/** An image registry on a test daemon's loopback (Debian's docker-registry), which daemons take without TLS. */
export interface TestRegistry {
  /** `127.0.0.1:PORT`, the first part of its images' names. */
  readonly host: string;
  readonly username: string;
  readonly password: string;
  /** Loads an archive that names one image of this registry, pushes it, and takes it off the daemon again. */
  push(archive: Uint8Array, reference: string): Promise<void>;
  stop(): Promise<void>;
}

export function canRunRegistry(): boolean {
  return Bun.which("docker-registry") !== null;
}

/**
 * Starts one that wants a password, in the daemon's network namespace. The port is free there, as nothing else runs.
 * @param tls files with its certificate and key; daemons do not check them on loopback.
 */
export async function startRegistry(
  dockerd: TestDockerd,
  port = 5000,
  tls?: { readonly certificate: string; readonly key: string },
): Promise<TestRegistry> {
  const directory = join(dockerd.directory, `registry-${port}`);
  mkdirSync(directory);
  const [username, password] = ["puller", "secret"];
  const hash = await Bun.password.hash(password, { algorithm: "bcrypt", cost: 4 });
  writeFileSync(join(directory, "htpasswd"), `${username}:${hash}\n`);
  const config = {
    version: "0.1",
    log: { level: "error" },
    storage: { filesystem: { rootdirectory: join(directory, "data") } },
    http: { addr: `127.0.0.1:${port}`, ...(tls ? { tls } : {}) },
    auth: { htpasswd: { realm: "test", path: join(directory, "htpasswd") } },
  };
  writeFileSync(join(directory, "config.yml"), JSON.stringify(config));
  const server = spawn(
    "nsenter",
    [`--net=/run/netns/${dockerd.namespaceName}`, "docker-registry", "serve", join(directory, "config.yml")],
    { stdio: "ignore" },
  );
  const exited = new Promise<void>((resolve) => server.once("exit", () => resolve()));
  const stop = async (): Promise<void> => {
    server.kill("SIGKILL");
    await exited;
  };
  const host = `127.0.0.1:${port}`;
  const docker = new Docker({ socketPath: dockerd.socketPath });
  const authconfig = { username, password, serveraddress: host };
  try {
    await untilAnswers(docker, authconfig, server);
  } catch (error) {
    await stop();
    throw error;
  }
  const push = async (archive: Uint8Array, reference: string): Promise<void> => {
    await drain(await docker.loadImage(Readable.from([Buffer.from(archive)])));
    await drain(await docker.getImage(reference).push({ authconfig }));
    await docker.getImage(reference).remove();
  };
  return { host, username, password, push, stop };
}

async function untilAnswers(docker: Docker, auth: object, server: { exitCode: number | null }): Promise<void> {
  let last: unknown;
  for (let attempt = 0; attempt < startAttempts && server.exitCode === null; attempt++) {
    try {
      await docker.checkAuth(auth);
      return;
    } catch (error) {
      last = error;
      await delay(100);
    }
  }
  throw new Error("the registry did not start", { cause: last });
}

async function drain(stream: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  const failure = /"error":"([^"]*)"/.exec(text);
  if (failure !== null) throw new Error(failure[1]);
}
