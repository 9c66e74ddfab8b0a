import { closeSync, constants, openSync, readFileSync, readSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { externalLogin, onBus } from "#agent/host/d-bus/connection.ts";
import { type Argument, decodeMessage, encodeMessage, type Message } from "#agent/host/d-bus/message.ts";
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
const isTaken = 1;

/**
 * What systemd-logind is for those who delay a shutdown, on a real bus: inhibitors as named pipes, their longest delay, its
 * configuration read again on SIGHUP from systemd, and the word that a shutdown comes.
 */
export class TestLogind {
  readonly #socket = unixSocket();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #inhibitors: { readonly reader: number; readonly words: readonly unknown[] }[] = [];
  #input = Buffer.alloc(0);
  #serial = 0;
  #isIn = false;
  #delay_s: number;
  readonly #ready = Promise.withResolvers<void>();

  private constructor(
    busPath: string,
    private readonly directory: string,
    delay_s: number,
  ) {
    this.#delay_s = delay_s;
    connectUnix(this.#socket, busPath);
    send(this.#socket, Buffer.from(`\0${externalLogin}NEGOTIATE_UNIX_FD\r\n`));
    this.#timer = setInterval(() => this.#listen(), 5);
  }

  static async start(bus: TestBus, directory: string, delay_s = 5): Promise<TestLogind> {
    const logind = new TestLogind(bus.path, directory, delay_s);
    await logind.#ready.promise;
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
    this.#say(
      { type: "signal", path: "/org/freedesktop/login1", interface: `${login}.Manager`, member: "PrepareForShutdown" },
      [{ type: "b", value: isComing }],
    );
  }

  stop(): void {
    clearInterval(this.#timer);
    closeSync(this.#socket);
    for (const { reader } of this.#inhibitors) closeSync(reader);
  }

  #say(header: Parameters<typeof encodeMessage>[0], body: readonly Argument[] = [], descriptors: number[] = []): void {
    const message = encodeMessage({ ...header, descriptors: descriptors.length || undefined }, ++this.#serial, body);
    if (descriptors.length > 0) sendWithDescriptors(this.#socket, message, descriptors);
    else send(this.#socket, message);
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
      this.#say({ type: "call", ...onBus("Hello") });
      for (const name of [login, "org.freedesktop.systemd1"])
        this.#say({ type: "call", ...onBus("RequestName") }, [
          { type: "s", value: name },
          { type: "u", value: 0 },
        ]);
    }
    for (let next = decodeMessage(this.#input); next !== undefined; next = decodeMessage(this.#input)) {
      this.#input = this.#input.subarray(next.length);
      this.#answer(next.message);
    }
  }

  #answer(message: Message): void {
    const { type, serial, sender, member, body } = message;
    // The names were asked for one after the other.
    if (type === "return" && message.replySerial === 3 && body[0] === isTaken) this.#ready.resolve();
    if (type !== "call") return;
    const answer = { type: "return", replySerial: serial, destination: sender } as const;
    if (member === "Inhibit") {
      const writer = this.#newInhibitor(body);
      this.#say(answer, [{ type: "h", value: 0 }], [writer]);
      closeSync(writer);
    } else if (member === "Get" && body[1] === "InhibitDelayMaxUSec")
      this.#say(answer, [{ type: "v", value: { type: "t", value: BigInt(this.#delay_s * 1e6) } }]);
    else if (member === "KillUnit" && body[0] === "systemd-logind.service" && body[2] === 1) {
      const text = readFileSync(this.configPath, "utf8");
      this.#delay_s = Number(/^\[Login\]\nInhibitDelayMaxSec=(\d+)$/m.exec(text)?.[1] ?? this.#delay_s);
      this.#say(answer);
    } else
      this.#say({ ...answer, type: "error", errorName: "org.freedesktop.DBus.Error.UnknownMethod" }, [
        { type: "s", value: `no ${member}` },
      ]);
  }

  #newInhibitor(words: readonly unknown[]): number {
    const path = join(this.directory, `inhibitor-${this.#inhibitors.length}`);
    Bun.spawnSync({ cmd: ["mkfifo", path] });
    this.#inhibitors.push({ reader: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), words });
    return openSync(path, "w");
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
