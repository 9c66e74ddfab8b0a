import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { HostError } from "../host/host.ts";
import { sendFrames } from "../host/packet-socket.ts";
import { NetworkError, type SandboxAttachment, type SandboxNetwork } from "../runtime/sandbox-network.ts";
import { announcementOf } from "./announcement.ts";
import { type CniNetworkConfig, findCniConfig, isRecord, parseCniConfig } from "./cni-config.ts";
import { addressesOf, type CniAttachment, type CniResult, cniAdd, cniCheck, cniDelete } from "./cni-plugins.ts";
import { gatewaysSettled } from "./settled-gateways.ts";

export interface CniNetworkOptions {
  /** Where configurations are found: /etc/cni/net.d. */
  readonly configDirectory?: string | undefined;
  /** Where plugins are found, the first that has one wins: /opt/cni/bin, /usr/lib/cni. */
  readonly binDirectories?: readonly string[] | undefined;
  /** What is attached, a file each. In memory (/run): sandboxes do not outlive a boot, and no card is written. */
  readonly stateDirectory?: string | undefined;
  readonly warn: (message: string) => void;
}

export const defaultCniConfigDirectory = "/etc/cni/net.d";
const defaultCniBinDirectories: readonly string[] = ["/opt/cni/bin", "/usr/lib/cni"];
const defaultStateDirectory = "/run/bramble/cni";
const interfaceName = "eth0";

/** What is kept of an attachment: DEL needs the configuration that ADD had, whatever the directory says by then. */
interface Attached {
  readonly config: CniNetworkConfig;
  readonly attachment: CniAttachment;
  /** Which namespace the path meant: a process id may belong to another process by the time of DEL. */
  readonly namespaceId: string;
  /** undefined while ADD runs, and after an agent that died in it. */
  readonly result: CniResult | undefined;
}

/**
 * SandboxNetwork by CNI plugins. The configuration directory is read at each attachment, so a plugin that is installed
 * or changed later needs no restart.
 */
export class CniNetwork implements SandboxNetwork {
  readonly #configDirectory: string;
  readonly #binDirectories: readonly string[];
  readonly #stateDirectory: string;
  readonly #warn: (message: string) => void;
  readonly #attached = new Map<string, Attached>();
  #lastProblems = "";

  /** Reads what is attached. Throws when the state directory cannot be made. */
  constructor(options: CniNetworkOptions) {
    this.#configDirectory = options.configDirectory ?? defaultCniConfigDirectory;
    this.#binDirectories = options.binDirectories ?? defaultCniBinDirectories;
    this.#stateDirectory = options.stateDirectory ?? defaultStateDirectory;
    this.#warn = options.warn;
    this.#load();
  }

  async attach(request: SandboxAttachment): Promise<readonly string[]> {
    const config = await this.#config();
    if (config === undefined) throw new NetworkError(await this.#missing());
    const attachment = cniAttachment(request);
    const namespaceId = await namespaceIdOf(request.namespacePath);
    if (namespaceId === undefined) throw new NetworkError(`${request.namespacePath}: the sandbox has ended`);
    await this.#save(request.sandboxId, { config, attachment, namespaceId, result: undefined });
    try {
      const result = await cniAdd(config, attachment, this.#binDirectories);
      await this.#save(request.sandboxId, { config, attachment, namespaceId, result });
      const addresses = addressesOf(result);
      if (addresses.length === 0) throw new NetworkError(`network ${config.name} gave no address`);
      await gatewaysSettled(result);
      this.#announce(result, request.namespacePath);
      return addresses;
    } catch (error) {
      await this.detach(request.sandboxId).catch((again: unknown) => this.#warn(`undo of an attachment: ${again}`));
      throw error;
    }
  }

  async detach(sandboxId: string): Promise<void> {
    const attached = this.#attached.get(sandboxId);
    if (attached === undefined) return;
    const { config, attachment, namespaceId, result } = attached;
    const present = await namespaceIdOf(attachment.namespacePath);
    const namespacePath = present === namespaceId ? attachment.namespacePath : "";
    await cniDelete(config, { ...attachment, namespacePath }, result, this.#binDirectories);
    this.#attached.delete(sandboxId);
    await rm(this.#file(sandboxId), { force: true });
  }

  addresses(sandboxId: string): readonly string[] | undefined {
    const result = this.#attached.get(sandboxId)?.result;
    return result === undefined ? undefined : addressesOf(result);
  }

  attached(): string[] {
    return [...this.#attached.keys()];
  }

  async notReadyReason(): Promise<string | undefined> {
    return (await this.#config()) === undefined ? await this.#missing() : undefined;
  }

  /** CNI's CHECK: rejects with NetworkError when something that ADD made is missing. */
  async check(sandboxId: string): Promise<void> {
    const attached = this.#attached.get(sandboxId);
    if (attached?.result === undefined) throw new NetworkError(`sandbox ${sandboxId} is not attached`);
    await cniCheck(attached.config, attached.attachment, attached.result, this.#binDirectories);
  }

  /** Without it a pod whose addresses nobody had before has its network all the same. */
  #announce(result: CniResult, namespacePath: string): void {
    const announcement = announcementOf(result, interfaceName);
    if (announcement === undefined) return;
    try {
      sendFrames(namespacePath, announcement.device, announcement.frames);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      this.#warn(`a pod's addresses could not be announced: ${error.message}`);
    }
  }

  async #config(): Promise<CniNetworkConfig | undefined> {
    const { found, problems } = await findCniConfig(this.#configDirectory);
    const text = problems.join("; ");
    if (text !== this.#lastProblems && text !== "") this.#warn(`unusable CNI configuration: ${text}`);
    this.#lastProblems = text;
    return found?.config;
  }

  async #missing(): Promise<string> {
    return `no CNI configuration in ${this.#configDirectory}`;
  }

  #file(sandboxId: string): string {
    return join(this.#stateDirectory, `${sandboxId}.json`);
  }

  async #save(sandboxId: string, attached: Attached): Promise<void> {
    const path = this.#file(sandboxId);
    const { config, ...rest } = attached;
    const kept = { ...rest, config: configJson(config) };
    await writeFile(`${path}.new`, JSON.stringify(kept), { mode: 0o600 });
    await rename(`${path}.new`, path);
    this.#attached.set(sandboxId, attached);
  }

  #load(): void {
    mkdirSync(this.#stateDirectory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#stateDirectory)) {
      if (!name.endsWith(".json")) continue;
      const path = join(this.#stateDirectory, name);
      const attached = parseAttached(readFileSync(path, "utf8"));
      if (attached === undefined) this.#warn(`${path} is not readable; its address may stay taken`);
      else this.#attached.set(name.slice(0, -".json".length), attached);
    }
  }
}

function cniAttachment(request: SandboxAttachment): CniAttachment {
  const { pod, sandboxId, namespacePath, portMappings, dns, annotations } = request;
  const mappings = portMappings
    .filter(({ hostPort }) => hostPort > 0)
    .map(({ hostPort, containerPort, protocol, hostIP }) => ({
      hostPort,
      containerPort,
      protocol: protocol.toLowerCase(),
      ...(hostIP === undefined || hostIP === "" ? {} : { hostIP }),
    }));
  return {
    containerId: sandboxId,
    namespacePath,
    interfaceName,
    args: {
      IgnoreUnknown: "1",
      K8S_POD_NAMESPACE: pod.namespace,
      K8S_POD_NAME: pod.name,
      K8S_POD_INFRA_CONTAINER_ID: sandboxId,
      K8S_POD_UID: pod.uid,
    },
    capabilityArgs: {
      ...(mappings.length > 0 ? { portMappings: mappings } : {}),
      ...(dns === undefined ? {} : { dns }),
      "io.kubernetes.cri.pod-annotations": annotations,
    },
  };
}

function configJson(config: CniNetworkConfig): object {
  return {
    ...config,
    plugins: config.plugins.map(({ fields, capabilities }) => ({ ...fields, capabilities })),
  };
}

function parseAttached(text: string): Attached | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value) || !isRecord(value["attachment"])) return undefined;
    const { result, namespaceId } = value;
    return {
      namespaceId: typeof namespaceId === "string" ? namespaceId : "",
      config: parseCniConfig(JSON.stringify(value["config"])),
      // Written by this class alone; a shape of another version is caught by the parse of the configuration.
      attachment: value["attachment"] as unknown as CniAttachment,
      result: isRecord(result) ? result : undefined,
    };
  } catch {
    // Said by the caller, who knows the file.
    return undefined;
  }
}

/** Device and inode of a namespace; undefined when nobody holds it at that path. Never the agent's own: DEL there would
 *  take the board's interface. */
async function namespaceIdOf(path: string): Promise<string | undefined> {
  const [found, own] = await Promise.all([stat(path).catch(() => undefined), stat("/proc/self/ns/net")]);
  if (found === undefined || (found.dev === own.dev && found.ino === own.ino)) return undefined;
  return `${found.dev}:${found.ino}`;
}
