import { readFile, stat } from "node:fs/promises";
import type { ImageReference } from "../image-reference.ts";
import { type ImageAuth, RuntimeError } from "../runtime.ts";
import type { PullProxy, PullTicket } from "./pull-proxy.ts";
import type { RegistriesConfig } from "./registries-config.ts";

export interface RegistryMirrorsOptions {
  /** The registries file; it need not exist. */
  readonly file: string;
  /** Of the proxy, on loopback. Part of names in the daemon, so it should stay the same. */
  readonly port: number;
  readonly useRegistryItself: boolean;
  readonly warn: (message: string) => void;
}

/** How to pull an image that the daemon cannot pull by its own name. */
export interface PullRoute extends PullTicket {
  /** The repository's name by way of the proxy. */
  readonly name: string;
}

/**
 * What the registries file says, for a daemon that knows no mirrors. It is read when it has changed, at the next pull; the
 * proxy opens with the first pull that needs it, so a board without such a file pays nothing.
 */
export class RegistryMirrors {
  readonly #options: RegistryMirrorsOptions;
  readonly #prefix: string;
  #read: { readonly stamp: string; readonly config: RegistriesConfig | undefined } | undefined;
  #proxy: Promise<PullProxy> | undefined;

  constructor(options: RegistryMirrorsOptions) {
    this.#options = options;
    this.#prefix = `127.0.0.1:${options.port}/`;
  }

  /** undefined: the file says nothing of this registry. Rejects with RuntimeError when the file or the port is no good. */
  async route(reference: ImageReference, auth: ImageAuth | undefined): Promise<PullRoute | undefined> {
    const { domain, path } = reference;
    const config = await this.#config();
    if (!config || domain.startsWith("[")) return undefined;
    const { endpointsFor, isConfigured } = await import("./endpoints.ts");
    if (!isConfigured(config, domain)) return undefined;
    const { useRegistryItself } = this.#options;
    const endpoints = endpointsFor(config, { domain, path }, { auth, useRegistryItself });
    const name = this.localName(reference);
    const ticket = (await this.#opened()).open(name.slice(this.#prefix.length), endpoints);
    return { name, ...ticket };
  }

  /** The repository's name by way of the proxy. A colon may not be in a path, nor `__` in a host name. */
  localName({ domain, path }: Pick<ImageReference, "domain" | "path">): string {
    return `${this.#prefix}${domain.toLowerCase().replace(":", "__")}/${path}`;
  }

  /** The reverse, for a name with its tag or digest; other names stay as they are. */
  originalName(name: string): string {
    if (!name.startsWith(this.#prefix)) return name;
    const [domain = "", ...path] = name.slice(this.#prefix.length).split("/");
    // As Docker itself shows names of its hub.
    const hub = domain === "docker.io" ? path.join("/").replace(/^library\//, "") : undefined;
    return hub ?? [domain.replace("__", ":"), ...path].join("/");
  }

  async close(): Promise<void> {
    await (await this.#proxy?.catch(() => undefined))?.close();
  }

  async #config(): Promise<RegistriesConfig | undefined> {
    const { file } = this.#options;
    const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw fileError(file, error);
    });
    if (!found) return undefined;
    const stamp = `${found.mtimeMs} ${found.size} ${found.ino}`;
    if (this.#read?.stamp === stamp) return this.#read.config;
    const { parseRegistries } = await import("./registries-config.ts");
    try {
      const config = parseRegistries(await readFile(file, "utf8"));
      this.#read = { stamp, config };
      return config;
    } catch (error) {
      // A pull around the mirrors might take what they were to keep out.
      throw fileError(file, error);
    }
  }

  #opened(): Promise<PullProxy> {
    this.#proxy ??= this.#listen().catch((error: unknown) => {
      this.#proxy = undefined;
      throw new RuntimeError("other", `registries: ${(error as Error).message}`, { cause: error });
    });
    return this.#proxy;
  }

  async #listen(): Promise<PullProxy> {
    const { PullProxy } = await import("./pull-proxy.ts");
    return await PullProxy.listen(this.#options.port, this.#options.warn);
  }
}

const fileError = (file: string, error: unknown): RuntimeError =>
  new RuntimeError("other", `${file}: ${(error as Error).message}`, { cause: error });
