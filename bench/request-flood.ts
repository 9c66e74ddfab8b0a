/**
 * What an API server holds while it is flooded. Each flood goes to a process of its own, and is told by what it answered and by the
 * most that was resident meanwhile.
 *   bun bench/request-flood.ts PROGRAM [--seconds 20] [--quiet 65] [--limit-mb 700] [FLOOD…]
 * --limit-mb: in a control group of so much memory without swap (root); --list names the floods.
 */
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { HttpClient } from "#shared/client/http-client.ts";
import { loadKubeconfig } from "#shared/client/kubeconfig.ts";
import { freePort } from "#shared/testing/free-port.ts";
import { type Flood, floods, type Place } from "./request-floods.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string", default: "20" },
    quiet: { type: "string", default: "65" },
    "limit-mb": { type: "string" },
    list: { type: "boolean", default: false },
  },
});
if (values.list) {
  console.log(Object.keys(floods).join("\n"));
  process.exit(0);
}
const [program = "dist/bramble-linux-x64", ...named] = positionals;
const seconds = Number(values.seconds);
const MB = 1024 * 1024;
const START_WITHIN_MS = 60_000;
const LOOK_EVERY_MS = 100;

class Server {
  readonly folder = mkdtempSync(join(tmpdir(), "request-flood-"));
  readonly #group = values["limit-mb"] ? `/sys/fs/cgroup/memory/request-flood-${process.pid}` : undefined;
  readonly #child: Bun.Subprocess;
  readonly place: Promise<Place>;

  constructor(port: number, mqttPort: number) {
    writeFileSync(join(this.folder, "none.yaml"), "");
    if (this.#group) {
      mkdirSync(this.#group);
      writeFileSync(join(this.#group, "memory.limit_in_bytes"), String(Number(values["limit-mb"]) * MB));
    }
    const log = openSync(join(this.folder, "log"), "a");
    const enter = this.#group ? `echo $$ >${this.#group}/cgroup.procs && ` : "";
    this.#child = Bun.spawn({
      cmd: [
        "sh",
        "-c",
        `${enter}exec "$@"`,
        "sh",
        resolve(program),
        "apiserver",
        `--config=${this.folder}/none.yaml`,
        `--data-dir=${this.folder}/data`,
        `--run-dir=${this.folder}/run`,
        `--write-kubeconfig=${this.folder}/admin.yaml`,
        `--secure-port=${port}`,
        `--mqtt-port=${mqttPort}`,
      ],
      stdin: "ignore",
      stdout: log,
      stderr: log,
    });
    this.place = this.#untilReady(port);
  }

  async #untilReady(port: number): Promise<Place> {
    for (const end_ms = performance.now() + START_WITHIN_MS; performance.now() < end_ms; await Bun.sleep(100)) {
      try {
        const { servers, credentials } = loadKubeconfig(join(this.folder, "admin.yaml"));
        await new HttpClient({ servers, credentials }).raw({ method: "GET", path: "/readyz" });
        const { ca = "", certificate: cert = "", key = "" } = credentials();
        return { port, ca, cert, key };
      } catch {
        // Not yet.
      }
    }
    throw new Error(readFileSync(join(this.folder, "log"), "utf8").slice(-3000));
  }

  get hasEnded(): string | undefined {
    const { exitCode, signalCode } = this.#child;
    return exitCode === null && signalCode === null ? undefined : `ended: ${exitCode ?? signalCode}`;
  }

  /** `VmRSS` or `VmHWM`, in MB. */
  resident_mb(field: string): number {
    if (this.hasEnded) return Number.NaN;
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Math.round(Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024);
  }

  get cpu_s(): number {
    if (this.hasEnded) return Number.NaN;
    const [, text = ""] = readFileSync(`/proc/${this.#child.pid}/stat`, "utf8").split(") ");
    const fields = text.split(" ");
    return (Number(fields[11]) + Number(fields[12])) / 100;
  }

  /** The most that is resident counts from now on. */
  beginMost(): void {
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, "5");
  }

  async end(): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
    rmSync(this.folder, { recursive: true, force: true });
    if (this.#group) rmdirSync(this.#group);
  }
}

async function run(name: string, flood: Flood): Promise<void> {
  const server = new Server(await freePort(), await freePort());
  try {
    const place = await server.place;
    await flood.prepare?.(place);
    await Bun.sleep(1000);
    const before = server.resident_mb("VmRSS");
    server.beginMost();
    const began = { at_ms: performance.now(), cpu_s: server.cpu_s };
    const answers = new Map<string, number>();
    const isOver = (): boolean => performance.now() - began.at_ms > seconds * 1000 || server.hasEnded !== undefined;
    const stop = await flood.run(place, isOver, (answer) => answers.set(answer, (answers.get(answer) ?? 0) + 1));
    while (!isOver()) await Bun.sleep(LOOK_EVERY_MS);
    const after = server.resident_mb("VmRSS");
    const cpu_s = server.cpu_s - began.cpu_s;
    stop?.();
    const most = server.resident_mb("VmHWM");
    await Bun.sleep(Number(values.quiet) * 1000);
    const counted = [...answers].sort(([a], [b]) => (a < b ? -1 : 1)).map(([answer, count]) => `${answer}: ${count}`);
    const state = server.hasEnded ?? `then ${server.resident_mb("VmRSS")}`;
    console.log(
      `${name}: resident ${before}, most ${most}, at the end ${after}, ${state} MB; CPU ${cpu_s.toFixed(0)} s; ${counted.join(", ")}`,
    );
  } finally {
    await server.end();
  }
}

for (const [name, flood] of Object.entries(floods))
  if (named.length === 0 || named.includes(name)) await run(name, flood);
