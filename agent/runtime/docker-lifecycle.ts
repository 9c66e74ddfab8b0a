import type Docker from "dockerode";
import { usualRequest_ms, within } from "./docker-client.ts";
import { asRuntime, dockerMessage, isVanished, statusCodeOf, toRuntimeError, unless } from "./docker-errors.ts";
import { Inspections } from "./docker-inspection.ts";
import { label } from "./docker-names.ts";
import { RuntimeError } from "./runtime.ts";

/** 304: it is so already. 404: it is gone. */
const nothingToDo = [304, 404];

/**
 * What Docker does to sandboxes and containers alike: it knows both only as containers. Keeps the inspections in step
 * with its own requests. One for sandboxes, one for containers (`type`: the value of the type label).
 */
export class DockerLifecycle {
  readonly inspections: Inspections;
  readonly #docker: Docker;
  /** Why containers did not start: Docker notes it, Podman does not. Bounded by the containers that exist. */
  readonly #startErrors = new Map<string, string>();
  readonly #type: string;

  /** @param request_ms what Docker has for the end of a process beyond its grace period */
  constructor(
    docker: Docker,
    type: string,
    private readonly request_ms = usualRequest_ms,
  ) {
    this.#docker = docker;
    this.#type = type;
    this.inspections = new Inspections(docker);
  }

  /** A name that is still taken belongs to a try that was cut short: it is removed, once. */
  async create(
    options: Docker.ContainerCreateOptions,
    notFound: "image-not-found" | "not-found" = "not-found",
  ): Promise<string> {
    const what = `create container ${options.name}`;
    try {
      return (await this.#docker.createContainer(options)).id;
    } catch (error) {
      if (!isNameTaken(error) || options.name === undefined) throw toRuntimeError(what, error, notFound);
      await this.remove(options.name);
      return (await asRuntime(what, () => this.#docker.createContainer(options), notFound)).id;
    }
  }

  async start(id: string): Promise<void> {
    try {
      await this.#docker.getContainer(id).start();
    } catch (error) {
      const code = statusCodeOf(error);
      if (code === 304) return;
      if (code === undefined || code === 404) throw toRuntimeError(`start container ${id}`, error);
      this.#startErrors.set(id, dockerMessage(error));
      throw new RuntimeError("cannot-start", dockerMessage(error), { cause: error });
    } finally {
      this.inspections.forget(id);
    }
  }

  async stop(id: string, grace_s: number, signal?: string): Promise<void> {
    const container = this.#docker.getContainer(id);
    const t = Math.max(0, Math.ceil(grace_s));
    const limit_ms = t * 1000 + this.request_ms;
    try {
      if (signal === undefined || t === 0) {
        const stop = () => within(limit_ms, (abortSignal) => container.stop({ t, abortSignal }));
        await unless(nothingToDo, `stop container ${id}`, stop);
      } else {
        await signalThenKill(container, signal, t, limit_ms);
      }
    } finally {
      this.inspections.forget(id);
    }
  }

  async remove(id: string): Promise<void> {
    // 409: its removal is already under way.
    await unless([404, 409], `remove container ${id}`, () =>
      this.#docker.getContainer(id).remove({ force: true, v: true }),
    );
    this.inspections.forget(id);
    this.#startErrors.delete(id);
  }

  /** Why a container could not be started, when that was tried here. */
  startError(id: string): string | undefined {
    return this.#startErrors.get(id);
  }

  /** All of this type, or those with one more label (`key=value`), running or not. */
  async list(selector?: string): Promise<Docker.ContainerInfo[]> {
    const labels = [`${label.type}=${this.#type}`, ...(selector === undefined ? [] : [selector])];
    const ask = () => this.#docker.listContainers({ all: true, filters: { label: labels } });
    // The next answer is without the one that went meanwhile.
    const again = (error: unknown): ReturnType<typeof ask> => {
      if (!isVanished(error)) throw error;
      return ask();
    };
    const listed = await asRuntime("list containers", () => ask().catch(again).catch(again));
    if (selector === undefined) this.inspections.retain(new Set(listed.map(({ Id }) => Id)));
    return listed;
  }

  /** Docker's details as they are now. RuntimeError not-found. */
  async inspect(id: string): Promise<Docker.ContainerInspectInfo> {
    return required(id, await this.inspections.fresh(id));
  }

  /** Details of which only the configuration matters, which never changes. RuntimeError not-found. */
  async configuration(id: string): Promise<Docker.ContainerInspectInfo> {
    return required(id, await this.inspections.known(id));
  }
}

/** Docker says 409, Podman 500. */
function isNameTaken(error: unknown): boolean {
  return statusCodeOf(error) === 409 || /name "[^"]*" is already in use/.test(dockerMessage(error));
}

/** Docker's own stop takes no signal before 23.0. */
async function signalThenKill(
  container: Docker.Container,
  signal: string,
  grace_s: number,
  limit_ms: number,
): Promise<void> {
  const what = `stop container ${container.id}`;
  const ended = unless(nothingToDo, what, () => within(limit_ms, (abortSignal) => container.wait({ abortSignal })));
  // Handled below in every case; this keeps an early rejection from counting as unhandled.
  ended.catch(() => undefined);
  // 409: not running (any more).
  await unless([404, 409], what, () => container.kill({ signal }));
  const graceOver = Promise.withResolvers<"grace over">();
  const timer = setTimeout(() => graceOver.resolve("grace over"), grace_s * 1000);
  try {
    if ((await Promise.race([ended, graceOver.promise])) === "grace over") {
      await unless([404, 409], what, () => container.kill({ signal: "SIGKILL" }));
      await ended;
    }
  } finally {
    clearTimeout(timer);
  }
}

function required(id: string, details: Docker.ContainerInspectInfo | undefined): Docker.ContainerInspectInfo {
  if (details === undefined) throw new RuntimeError("not-found", `no such container: ${id}`);
  return details;
}
