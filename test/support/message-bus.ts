import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { externalLogin, onBus } from "#agent/host/d-bus/connection.ts";
import {
  type Argument,
  decodeMessage,
  encodeMessage,
  type Message,
  type MessageHeader,
} from "#agent/host/d-bus/message.ts";
import {
  connectUnix,
  receiveWithDescriptors,
  send,
  sendWithDescriptors,
  unixSocket,
} from "#agent/host/socket-calls.ts";

export const canRunBus = (): boolean => Bun.which("dbus-daemon") !== null;

/** A dbus-daemon of a test's own. */
export class TestBus {
  private constructor(
    readonly path: string,
    private readonly daemon: Bun.Subprocess,
  ) {}

  static async start(directory: string): Promise<TestBus> {
    const path = join(directory, "bus");
    const config = join(directory, "bus.conf");
    writeFileSync(
      config,
      `<busconfig><type>system</type><listen>unix:path=${path}</listen><auth>EXTERNAL</auth>
      <policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/>
      </policy></busconfig>`,
    );
    const daemon = Bun.spawn({
      cmd: ["dbus-daemon", `--config-file=${config}`, "--nofork", "--nopidfile", "--print-address"],
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    // It says its address when it listens.
    await daemon.stdout.getReader().read();
    return new TestBus(path, daemon);
  }

  async stop(): Promise<void> {
    this.daemon.kill();
    await this.daemon.exited;
  }
}

const login = "org.freedesktop.login1";
const systemd = "org.freedesktop.systemd1";
const isTaken = 1;

/** One who answers calls on a bus, under the names that it takes there. */
abstract class BusService {
  /** Resolves when it has its names. */
  readonly ready: Promise<void>;
  readonly #socket = unixSocket();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #named = Promise.withResolvers<void>();
  #input = Buffer.alloc(0);
  #serial = 0;
  #isIn = false;

  constructor(
    busPath: string,
    private readonly names: readonly string[],
  ) {
    this.ready = this.#named.promise;
    connectUnix(this.#socket, busPath);
    send(this.#socket, Buffer.from(`\0${externalLogin}NEGOTIATE_UNIX_FD\r\n`));
    this.#timer = setInterval(() => this.#listen(), 5);
  }

  stop(): void {
    clearInterval(this.#timer);
    closeSync(this.#socket);
  }

  protected abstract answer(call: Message): void;

  protected say(header: MessageHeader, body: readonly Argument[] = [], descriptors: number[] = []): void {
    const message = encodeMessage({ ...header, descriptors: descriptors.length || undefined }, ++this.#serial, body);
    if (descriptors.length > 0) sendWithDescriptors(this.#socket, message, descriptors);
    else send(this.#socket, message);
  }

  protected reply({ serial, sender }: Message, body: readonly Argument[] = [], descriptors: number[] = []): void {
    this.say({ type: "return", replySerial: serial, destination: sender }, body, descriptors);
  }

  protected refuse({ serial, sender }: Message, errorName: string, text: string): void {
    this.say({ type: "error", errorName, replySerial: serial, destination: sender }, [{ type: "s", value: text }]);
  }

  #listen(): void {
    const received = receiveWithDescriptors(this.#socket);
    if (received === undefined || received.data.length === 0) return;
    this.#input = Buffer.concat([this.#input, received.data]);
    if (!this.#isIn) {
      if (!this.#input.includes("AGREE_UNIX_FD\r\n")) return;
      this.#input = Buffer.alloc(0);
      this.#isIn = true;
      send(this.#socket, Buffer.from("BEGIN\r\n"));
      this.say({ type: "call", ...onBus("Hello") });
      for (const name of this.names)
        this.say({ type: "call", ...onBus("RequestName") }, [
          { type: "s", value: name },
          { type: "u", value: 0 },
        ]);
    }
    for (let next = decodeMessage(this.#input); next !== undefined; next = decodeMessage(this.#input)) {
      this.#input = this.#input.subarray(next.length);
      const { type, replySerial, body } = next.message;
      // After the greeting the names were asked for one after the other.
      if (type === "return" && replySerial === 1 + this.names.length && body[0] === isTaken) this.#named.resolve();
      if (type === "call") this.answer(next.message);
    }
  }
}

/**
 * What systemd-logind is for those who delay a shutdown, on a real bus: inhibitors as named pipes, their longest delay, its
 * configuration read again on SIGHUP from systemd, and the word that a shutdown comes.
 */
export class TestLogind extends BusService {
  readonly #inhibitors: { readonly reader: number; readonly words: readonly unknown[] }[] = [];
  #delay_s: number;

  private constructor(
    busPath: string,
    private readonly directory: string,
    delay_s: number,
  ) {
    super(busPath, [login, systemd]);
    this.#delay_s = delay_s;
  }

  static async start(bus: TestBus, directory: string, delay_s = 5): Promise<TestLogind> {
    const logind = new TestLogind(bus.path, directory, delay_s);
    await logind.ready;
    return logind;
  }

  /** What it reads on SIGHUP. */
  get configPath(): string {
    return join(this.directory, "logind.conf.d", "99-bramble.conf");
  }

  get delay_s(): number {
    return this.#delay_s;
  }

  /** What those who hold an inhibitor have said: what, who, why, mode. */
  get held(): readonly (readonly unknown[])[] {
    return this.#inhibitors.filter(({ reader }) => isHeld(reader)).map(({ words }) => words);
  }

  /** Tells that a shutdown comes, or does not after all. */
  prepareForShutdown(isComing: boolean): void {
    this.say(
      { type: "signal", path: "/org/freedesktop/login1", interface: `${login}.Manager`, member: "PrepareForShutdown" },
      [{ type: "b", value: isComing }],
    );
  }

  override stop(): void {
    super.stop();
    for (const { reader } of this.#inhibitors) closeSync(reader);
  }

  protected override answer(call: Message): void {
    const { member, body } = call;
    if (member === "Inhibit") {
      const writer = this.#newInhibitor(body);
      this.reply(call, [{ type: "h", value: 0 }], [writer]);
      closeSync(writer);
    } else if (member === "Get" && body[1] === "InhibitDelayMaxUSec")
      this.reply(call, [{ type: "v", value: { type: "t", value: BigInt(this.#delay_s * 1e6) } }]);
    else if (member === "KillUnit" && body[0] === "systemd-logind.service" && body[2] === 1) {
      const text = readFileSync(this.configPath, "utf8");
      this.#delay_s = Number(/^\[Login\]\nInhibitDelayMaxSec=(\d+)$/m.exec(text)?.[1] ?? this.#delay_s);
      this.reply(call);
    } else this.refuse(call, "org.freedesktop.DBus.Error.UnknownMethod", `no ${member}`);
  }

  #newInhibitor(words: readonly unknown[]): number {
    const path = join(this.directory, `inhibitor-${this.#inhibitors.length}`);
    Bun.spawnSync({ cmd: ["mkfifo", path] });
    this.#inhibitors.push({ reader: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), words });
    return openSync(path, "w");
  }
}

/**
 * What systemd is for those who have it run slices, on a real bus: it keeps their properties, and tells those who subscribed of
 * jobs that have ended.
 */
export class TestSystemd extends BusService {
  /** Properties of the units that run, by name. */
  readonly units = new Map<string, Map<string, unknown>>();
  /** What a job comes to. */
  outcome = "done";
  #jobs = 0;
  #isHeard = false;

  static async start(bus: TestBus): Promise<TestSystemd> {
    const started = new TestSystemd(bus.path, [systemd]);
    await started.ready;
    return started;
  }

  protected override answer(call: Message): void {
    const { member, body } = call;
    const unit = String(body[0]);
    const known = this.units.get(unit);
    if (member === "Subscribe") {
      this.#isHeard = true;
      this.reply(call);
    } else if (member === "StartTransientUnit") {
      if (known) this.refuse(call, `${systemd}.UnitExists`, `Unit ${unit} was already loaded or has a fragment file.`);
      else {
        this.units.set(unit, new Map(body[2] as unknown as [string, unknown][]));
        this.#endJob(call, unit);
      }
    } else if (!known) this.refuse(call, `${systemd}.NoSuchUnit`, `Unit ${unit} not loaded.`);
    else if (member === "SetUnitProperties") {
      for (const [name, value] of body[2] as unknown as [string, unknown][]) known.set(name, value);
      this.reply(call);
    } else if (member === "StopUnit") {
      this.units.delete(unit);
      this.#endJob(call, unit);
    } else this.refuse(call, "org.freedesktop.DBus.Error.UnknownMethod", `no ${member}`);
  }

  #endJob(call: Message, unit: string): void {
    const id = ++this.#jobs;
    const path = `/org/freedesktop/systemd1/job/${id}`;
    this.reply(call, [{ type: "o", value: path }]);
    if (!this.#isHeard) return;
    this.say(
      { type: "signal", path: "/org/freedesktop/systemd1", interface: `${systemd}.Manager`, member: "JobRemoved" },
      [
        { type: "u", value: id },
        { type: "o", value: path },
        { type: "s", value: unit },
        { type: "s", value: this.outcome },
      ],
    );
  }
}

/** An empty pipe that somebody may write to cannot be read now; one that nobody may write to any more has ended. */
function isHeld(reader: number): boolean {
  try {
    return readSync(reader, Buffer.alloc(1)) > 0;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EAGAIN";
  }
}
