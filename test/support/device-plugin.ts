/** A device plug-in for tests, whose devices the test changes. */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import {
  AllocateRequest,
  AllocateResponse,
  type ContainerAllocateResponse,
  type Device,
  devicePaths,
  Empty,
  ListAndWatchResponse,
  PreferredAllocationRequest,
  PreferredAllocationResponse,
  PreStartContainerRequest,
  RegisterRequest,
} from "#agent/kubelet/devices/device-messages.ts";
import { GrpcChannel } from "#shared/grpc/channel.ts";
import { GrpcServer } from "#shared/grpc/server.ts";

export class TestDevicePlugin {
  readonly allocated: (readonly string[])[] = [];
  readonly started: (readonly string[])[] = [];
  #devices: readonly Device[];
  #changed = Promise.withResolvers<void>();
  #server: GrpcServer | undefined;

  constructor(
    /** The kubelet's folder. */
    readonly root: string,
    readonly resource: string,
    ids: readonly string[],
    readonly give: (ids: readonly string[]) => Partial<ContainerAllocateResponse>,
  ) {
    this.#devices = ids.map((id) => ({ id, health: "Healthy", topology: undefined }));
  }

  setHealth(id: string, health: "Healthy" | "Unhealthy"): void {
    this.#devices = this.#devices.map((device) => (device.id === id ? { ...device, health } : device));
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  get #folder(): string {
    return join(this.root, "device-plugins");
  }

  async start(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true });
    this.#server = new GrpcServer({
      unary: {
        [devicePaths.allocate]: (request) => {
          const { containers } = AllocateRequest.decode(request);
          const answers = containers.map(({ deviceIds }) => {
            this.allocated.push(deviceIds);
            return this.give(deviceIds) as ContainerAllocateResponse;
          });
          return AllocateResponse.encode({ containers: answers });
        },
        [devicePaths.preferred]: (request) => {
          const { containers } = PreferredAllocationRequest.decode(request);
          // The last ones first.
          const answers = containers.map(({ available, size }) => ({
            deviceIds: available.toReversed().slice(0, size),
          }));
          return PreferredAllocationResponse.encode({ containers: answers });
        },
        [devicePaths.preStart]: (request) => {
          this.started.push(PreStartContainerRequest.decode(request).deviceIds);
          return Empty.encode({});
        },
      },
      streams: { [devicePaths.listAndWatch]: () => this.#watch() },
    });
    const name = `${this.resource.replace("/", "-")}.sock`;
    await this.#server.listenUnix(join(this.#folder, name));
    const socket = join(this.#folder, "kubelet.sock");
    while (!existsSync(socket)) await Bun.sleep(20);
    const kubelet = new GrpcChannel({ endpoint: new URL(`unix://${socket}`) });
    const options = { preStartRequired: true, getPreferredAllocationAvailable: true };
    const request = { version: "v1beta1", endpoint: name, resourceName: this.resource, options };
    await kubelet.unary(devicePaths.register, RegisterRequest.encode(request), 60_000);
    kubelet.close();
  }

  async *#watch(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      const { promise } = this.#changed;
      yield ListAndWatchResponse.encode({ devices: this.#devices });
      await promise;
    }
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
  }
}
