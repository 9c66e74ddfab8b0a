import { DBusConnection, type MethodCall, onBus } from "#agent/host/d-bus/connection.ts";
import { DBusError, type Message, type Property } from "#agent/host/d-bus/message.ts";

const systemd = "org.freedesktop.systemd1";
const manager = { destination: systemd, path: "/org/freedesktop/systemd1", interface: `${systemd}.Manager` } as const;
const job_ms = 30_000;

/** Units that systemd runs as long as somebody wants them, by its Manager (org.freedesktop.systemd1). Rejects with DBusError. */
export class SystemdUnits {
  constructor(private readonly busPath = "/run/dbus/system_bus_socket") {}

  /** Starts a unit that has no file. False when there is one of that name already, which stays as it is. */
  async start(name: string, properties: readonly Property[]): Promise<boolean> {
    try {
      await this.#job(name, {
        ...manager,
        member: "StartTransientUnit",
        body: [
          { type: "s", value: name },
          { type: "s", value: "replace" },
          { type: "a(sv)", value: properties },
          { type: "a(sa(sv))", value: [] },
        ],
      });
      return true;
    } catch (error) {
      if (isNamed(error, "UnitExists")) return false;
      throw error;
    }
  }

  /** Changes properties until the next boot. */
  async change(name: string, properties: readonly Property[]): Promise<void> {
    await this.#connected(async (connection) => {
      await connection.call({
        ...manager,
        member: "SetUnitProperties",
        body: [
          { type: "s", value: name },
          { type: "b", value: true },
          { type: "a(sv)", value: properties },
        ],
      });
    });
  }

  /** One that is not there counts as stopped. */
  async stop(name: string): Promise<void> {
    try {
      await this.#job(name, {
        ...manager,
        member: "StopUnit",
        body: [
          { type: "s", value: name },
          { type: "s", value: "replace" },
        ],
      });
    } catch (error) {
      if (!isNamed(error, "NoSuchUnit")) throw error;
    }
  }

  /** A job is begun by a call, and its end told by a signal. */
  async #job(unit: string, call: MethodCall): Promise<void> {
    const result = Promise.withResolvers<string>();
    const hear = ({ member, body }: Message): void => {
      if (member === "JobRemoved" && body[2] === unit) result.resolve(String(body[3]));
    };
    await this.#connected(async (connection) => {
      const rule = `type='signal',interface='${manager.interface}',member='JobRemoved',path='${manager.path}'`;
      await connection.call(onBus("AddMatch", [{ type: "s", value: rule }]));
      await connection.call({ ...manager, member: "Subscribe" });
      await connection.call(call);
      const late = setTimeout(() => result.resolve("timeout"), job_ms);
      void connection.ended.then(() => result.resolve("the bus has closed the connection"));
      const outcome = await result.promise;
      clearTimeout(late);
      if (outcome !== "done") throw new DBusError(`systemd: ${call.member} of ${unit}: ${outcome}`);
    }, hear);
  }

  /** A connection for one task: systemd tells much to those who stay. */
  async #connected(
    task: (connection: DBusConnection) => Promise<void>,
    hear: (signal: Message) => void = () => undefined,
  ): Promise<void> {
    const connection = await DBusConnection.open(this.busPath, hear);
    try {
      await task(connection);
    } finally {
      connection.close();
    }
  }
}

const isNamed = (error: unknown, name: string): boolean =>
  error instanceof DBusError && error.errorName === `${systemd}.${name}`;
