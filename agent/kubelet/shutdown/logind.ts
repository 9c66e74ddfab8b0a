import { closeSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { DBusConnection, type MethodCall, onBus } from "#agent/host/d-bus/connection.ts";
import { callForDescriptor } from "#agent/host/d-bus/descriptor-call.ts";
import { DBusError, type Message } from "#agent/host/d-bus/message.ts";
import { pause, systemClock } from "#shared/client/clock.ts";
import type { Log } from "#shared/client/log.ts";
import { readIfPresent } from "#shared/files/if-present.ts";

export interface LogindOptions {
  /** How long the pods take at most. */
  readonly grace_s: number;
  /** The system bus' socket. */
  readonly busPath?: string | undefined;
  /** Where logind is told to wait longer. */
  readonly configPath?: string | undefined;
  readonly log: Log;
  /** The machine is about to shut down: resolves when it may. */
  begin(): Promise<void>;
  /** It does not after all. */
  cancel(): Promise<void>;
}

const login = "org.freedesktop.login1";
const manager = { destination: login, path: "/org/freedesktop/login1", interface: `${login}.Manager` } as const;
const firstRetry_ms = 1_000;
const longestRetry_ms = 60_000;
const reload_ms = 5_000;
const look_ms = 50;
const SIGHUP = 1;

/**
 * Holds up the machine's shutdown while pods end: a delay inhibitor of systemd-logind (org.freedesktop.login1), which
 * announces a shutdown and waits until those who hold one let go, for at most its InhibitDelayMaxSec.
 */
export class LogindInhibitor {
  readonly #stop = new AbortController();
  readonly #busPath: string;
  readonly #configPath: string;
  #running: Promise<void> | undefined;
  #connection: DBusConnection | undefined;
  /** Open: the shutdown waits. */
  #lock: number | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(readonly options: LogindOptions) {
    this.#busPath = options.busPath ?? "/run/dbus/system_bus_socket";
    this.#configPath = options.configPath ?? "/etc/systemd/logind.conf.d/99-bramble.conf";
  }

  /** Resolves when the first attempt has ended; true when the inhibitor is held. */
  async start(): Promise<boolean> {
    const first = Promise.withResolvers<void>();
    this.#running = this.#keep(first.resolve);
    await first.promise;
    return this.#lock !== undefined;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#connection?.close();
    await this.#running;
    this.#release();
  }

  async #keep(onFirst: () => void): Promise<void> {
    const { signal } = this.#stop;
    let retry_ms = firstRetry_ms;
    while (!signal.aborted) {
      try {
        const connection = await this.#connect();
        retry_ms = firstRetry_ms;
        onFirst();
        await connection.ended;
      } catch (error) {
        onFirst();
        if (isAbsent(error)) {
          this.options.log.info("no systemd-logind announces shutdowns here", { error });
          return;
        }
        this.options.log.warn("systemd-logind: trying again", { error });
      }
      this.#connection?.close();
      await pause(systemClock, retry_ms, signal).catch(() => undefined);
      retry_ms = Math.min(retry_ms * 2, longestRetry_ms);
    }
  }

  async #connect(): Promise<DBusConnection> {
    const connection = await DBusConnection.open(this.#busPath, (signal) => this.#hear(signal));
    this.#connection = connection;
    const rule = `type='signal',interface='${manager.interface}',member='PrepareForShutdown',path='${manager.path}'`;
    await connection.call(onBus("AddMatch", [{ type: "s", value: rule }]));
    await this.#extendDelay(connection);
    await this.#take();
    return connection;
  }

  async #take(): Promise<void> {
    const words = ["shutdown", "bramble", "pods end before the board does", "delay"];
    const body = words.map((value) => ({ type: "s", value }) as const);
    const lock = await callForDescriptor(this.#busPath, { ...manager, member: "Inhibit", body });
    this.#release();
    this.#lock = lock;
  }

  #release(): void {
    if (this.#lock !== undefined) closeSync(this.#lock);
    this.#lock = undefined;
  }

  #hear({ interface: from, member, body }: Message): void {
    if (from !== manager.interface || member !== "PrepareForShutdown") return;
    const isComing = body[0] === true;
    // One after the other: a cancelled shutdown may come while pods still end.
    this.#turn = this.#turn
      .then(() => (isComing ? this.#yield() : this.#goOn()))
      .catch((error: unknown) => this.options.log.warn("shutdown of the board", { error }));
  }

  async #yield(): Promise<void> {
    try {
      await this.options.begin();
    } finally {
      this.#release();
    }
  }

  async #goOn(): Promise<void> {
    await this.options.cancel();
    await this.#take();
  }

  /** Has logind wait as long as pods may take, where it would wait less. */
  async #extendDelay(connection: DBusConnection): Promise<void> {
    const { grace_s, log } = this.options;
    if ((await delayOf_s(connection)) >= grace_s) return;
    try {
      await this.#writeConfig(`# Pods of this board have this long to end.\n[Login]\nInhibitDelayMaxSec=${grace_s}\n`);
      await connection.call(reload);
      const end_ms = performance.now() + reload_ms;
      while ((await delayOf_s(connection)) < grace_s) {
        if (performance.now() > end_ms) throw new DBusError("logind does not take InhibitDelayMaxSec over");
        await pause(systemClock, look_ms, this.#stop.signal);
      }
    } catch (error) {
      const delay_s = await delayOf_s(connection);
      log.warn("a shutdown waits less than pods may take: see InhibitDelayMaxSec in logind.conf", {
        error,
        delay_s,
        grace_s,
      });
    }
  }

  async #writeConfig(content: string): Promise<void> {
    if ((await readIfPresent(this.#configPath)) === content) return;
    await mkdir(dirname(this.#configPath), { recursive: true });
    await writeFile(this.#configPath, content, { mode: 0o644 });
  }
}

const reload: MethodCall = {
  destination: "org.freedesktop.systemd1",
  path: "/org/freedesktop/systemd1",
  interface: "org.freedesktop.systemd1.Manager",
  member: "KillUnit",
  body: [
    { type: "s", value: "systemd-logind.service" },
    { type: "s", value: "all" },
    { type: "i", value: SIGHUP },
  ],
};

async function delayOf_s(connection: DBusConnection): Promise<number> {
  const { body } = await connection.call({
    ...manager,
    interface: "org.freedesktop.DBus.Properties",
    member: "Get",
    body: [
      { type: "s", value: manager.interface },
      { type: "s", value: "InhibitDelayMaxUSec" },
    ],
  });
  return Number(body[0]) / 1e6;
}

/** No bus, or nobody on it who knows of shutdowns: that does not change while the machine is on. */
function isAbsent(error: unknown): boolean {
  if (!(error instanceof DBusError)) return false;
  const { code } = (error.cause ?? {}) as { code?: string };
  const isUnknown = /\.(ServiceUnknown|NameHasNoOwner|UnitMasked)$|\.Spawn\./.test(error.errorName);
  return code === "ENOENT" || isUnknown;
}
