import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcError } from "#shared/grpc/grpc-error.ts";
import { socketUrl } from "#shared/grpc/socket-url.ts";
import {
  AllocateRequest,
  AllocateResponse,
  type ContainerAllocateResponse,
  type Device,
  type DevicePluginOptions,
  devicePaths,
  Empty,
  ListAndWatchResponse,
  PreferredAllocationRequest,
  PreferredAllocationResponse,
  PreStartContainerRequest,
} from "./device-messages.ts";
import type { DeviceSource } from "./device-source.ts";

const allocate_ms = 60_000;
/** Upstream's. */
const preStart_ms = 30_000;

/** One device plug-in, for one resource. */
export class DevicePlugin implements DeviceSource {
  readonly #channel: GrpcChannel;
  readonly #stop = new AbortController();

  constructor(
    socket: string,
    readonly resource: string,
    readonly options: DevicePluginOptions | undefined,
  ) {
    this.#channel = new GrpcChannel({ endpoint: socketUrl(socket), connect_ms: 10_000 });
  }

  /** The plug-in's devices, whenever they have changed, until it ends. Throws what ended it. */
  async *devices(): AsyncGenerator<readonly Device[], void, undefined> {
    const { signal } = this.#stop;
    for await (const answer of this.#channel.serverStream(devicePaths.listAndWatch, Empty.encode({}), { signal }))
      yield ListAndWatchResponse.decode(answer).devices;
  }

  async allocate(deviceIds: readonly string[]): Promise<Partial<ContainerAllocateResponse>> {
    const request = AllocateRequest.encode({ containers: [{ deviceIds }] });
    const { containers } = AllocateResponse.decode(await this.#call(devicePaths.allocate, request, allocate_ms));
    const [only] = containers;
    if (!only) throw new Error(`no containers return in allocation response ${this.resource}`);
    return only;
  }

  async prefer(
    available: readonly string[],
    mustInclude: readonly string[],
    size: number,
  ): Promise<readonly string[] | undefined> {
    if (!this.options?.getPreferredAllocationAvailable) return undefined;
    const request = PreferredAllocationRequest.encode({ containers: [{ available, mustInclude, size }] });
    const answer = PreferredAllocationResponse.decode(await this.#call(devicePaths.preferred, request, allocate_ms));
    return answer.containers[0]?.deviceIds;
  }

  async preStart(deviceIds: readonly string[]): Promise<void> {
    if (!this.options?.preStartRequired) return;
    await this.#call(devicePaths.preStart, PreStartContainerRequest.encode({ deviceIds }), preStart_ms);
  }

  close(): void {
    this.#stop.abort();
    this.#channel.close();
  }

  async #call(path: string, request: Buffer, timeout_ms: number): Promise<Buffer> {
    try {
      return await this.#channel.unary(path, request, timeout_ms);
    } catch (error) {
      if (error instanceof GrpcError) throw new Error(error.description, { cause: error });
      throw error;
    }
  }
}
