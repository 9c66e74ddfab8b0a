/** An API server as it is run, in a process of its own, with a look at its memory and its files. */
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import type { Place } from "./conversation.ts";

/** The sources, or what BRAMBLE_FUZZ_BINARY names. */
const compiled = process.env["BRAMBLE_FUZZ_BINARY"];
const program = compiled ? [resolve(compiled)] : [process.execPath, resolve(import.meta.dir, "../../bramble.ts")];
const measuredProcess = join(import.meta.dir, "measured-process.ts");
const START_WITHIN_MS = 120_000;

export interface Measure {
  readonly rss_bytes: number;
  readonly liveHeap_bytes: number;
  readonly openFiles: number;
}

export class ServerProcess {
  readonly folder = mkdtempSync(join(tmpdir(), "bramble-fuzz-"));
  #child: Bun.Subprocess | undefined;
  #port = 0;

  async start(): Promise<void> {
    this.#port ||= await freePort();
    const mqttPort = await freePort();
    writeFileSync(join(this.folder, "none.yaml"), "");
    // All is recorded, so that whatever a request brings is written down, too.
    const policy = { apiVersion: "audit.k8s.io/v1", kind: "Policy", rules: [{ level: "RequestResponse" }] };
    writeFileSync(join(this.folder, "policy.yaml"), JSON.stringify(policy));
    const log = openSync(this.logFile, "a");
    this.#child = Bun.spawn({
      cmd: [
        ...program,
        "apiserver",
        `--config=${this.folder}/none.yaml`,
        `--data-dir=${this.folder}/data`,
        `--run-dir=${this.folder}/run`,
        `--write-kubeconfig=${this.folder}/admin.yaml`,
        `--secure-port=${this.#port}`,
        `--audit-policy-file=${this.folder}/policy.yaml`,
        `--audit-log-path=${this.auditLog}`,
        "--audit-log-maxsize=8",
        "--audit-log-maxbackup=1",
        `--mqtt-port=${mqttPort}`,
      ],
      env: { ...process.env, MEASURE_FILE: this.#measureFile, BUN_OPTIONS: `--preload=${measuredProcess}` },
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    await this.#untilReady();
  }

  async #untilReady(): Promise<void> {
    const end_ms = performance.now() + START_WITHIN_MS;
    for (;;) {
      if (this.exitCode !== null) throw new Error(`the server ended at its start: ${this.log.slice(-3000)}`);
      if (existsSync(join(this.folder, "admin.yaml"))) {
        const answer = await this.client()
          .raw({ method: "GET", path: "/readyz" })
          .catch(() => undefined);
        if (answer) return;
      }
      if (performance.now() > end_ms) throw new Error(`the server is not ready: ${this.log.slice(-3000)}`);
      await Bun.sleep(100);
    }
  }

  get logFile(): string {
    return join(this.folder, "server.log");
  }

  get auditLog(): string {
    return join(this.folder, "audit", "audit.log");
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  get database(): string {
    return join(this.folder, "data", "store", "store.db");
  }

  get #measureFile(): string {
    return join(this.folder, "measure.json");
  }

  /** null while it runs. */
  get exitCode(): number | string | null {
    return this.#child?.exitCode ?? this.#child?.signalCode ?? null;
  }

  client(): HttpClient {
    const { servers, credentials } = loadKubeconfig(join(this.folder, "admin.yaml"));
    return new HttpClient({ servers, credentials });
  }

  place(): Place {
    const { ca = "", certificate: cert = "", key = "" } = loadKubeconfig(join(this.folder, "admin.yaml")).credentials();
    return { port: this.#port, ca, cert, key };
  }

  /** Of the process after a collection of its garbage. */
  async measure(): Promise<Measure> {
    const pid = this.#child?.pid ?? 0;
    rmSync(this.#measureFile, { force: true });
    process.kill(pid, "SIGUSR2");
    while (!existsSync(this.#measureFile)) {
      if (this.exitCode !== null) throw new Error(`the server has ended: ${this.log.slice(-3000)}`);
      await Bun.sleep(50);
    }
    const { heapSize } = JSON.parse(readFileSync(this.#measureFile, "utf8")) as { heapSize: number };
    return { rss_bytes: rssOf(pid), liveHeap_bytes: heapSize, openFiles: readdirSync(`/proc/${pid}/fd`).length };
  }

  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.#child?.kill(signal);
    await this.#child?.exited;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function rssOf(pid: number): number {
  const text = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(text ?? 0) * 1024;
}
