/** A driver of dynamic resources for tests: each device of a claim is an environment variable, a file and a device node. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  type Claim,
  ClaimsRequest,
  draPath,
  draServices,
  PrepareResponse,
  UnprepareResponse,
} from "#agent/kubelet/dra/dra-messages.ts";
import { PluginInfo, RegistrationStatus, registrationPaths } from "#agent/kubelet/plugins/plugin-registration.ts";
import { resourceClaims } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";
import { message } from "#shared/grpc/message.ts";
import { GrpcServer } from "#shared/grpc/server.ts";

export interface DraTestDriverOptions {
  readonly name: string;
  /** The kubelet's folder. */
  readonly root: string;
  /** Where its CDI descriptions go. */
  readonly cdi: string;
  /** Reads claims. */
  readonly client: Client;
  readonly versions?: readonly string[];
}

export class DraTestDriver {
  readonly prepared: Claim[] = [];
  readonly unprepared: Claim[] = [];
  readonly verdicts: unknown[] = [];
  /** Preparing fails with this, while it is set. */
  refusal = "";
  readonly #servers: GrpcServer[] = [];

  constructor(readonly options: DraTestDriverOptions) {}

  get endpoint(): string {
    return join(this.options.root, "plugins", this.options.name, "dra.sock");
  }

  get registration(): string {
    return join(this.options.root, "plugins_registry", `${this.options.name}-reg.sock`);
  }

  async start(): Promise<void> {
    const { name, root, versions = ["v1.DRAPlugin", "v1beta1.DRAPlugin"] } = this.options;
    for (const socket of [this.endpoint, this.registration]) {
      mkdirSync(dirname(socket), { recursive: true });
      rmSync(socket, { force: true });
    }
    const service = versions.map((version) => draServices.get(version)).find((known) => known !== undefined) ?? "none";
    const plugin = new GrpcServer({
      unary: {
        [draPath(service, "prepare")]: (request) => this.#prepare(ClaimsRequest.decode(request).claims),
        [draPath(service, "unprepare")]: (request) => this.#unprepare(ClaimsRequest.decode(request).claims),
      },
    });
    await plugin.listenUnix(this.endpoint);
    const info = { type: "DRAPlugin", name, endpoint: this.endpoint, supportedVersions: versions };
    const registrar = new GrpcServer({
      unary: {
        [registrationPaths.getInfo]: () => PluginInfo.encode(info),
        [registrationPaths.notify]: (request) => {
          this.verdicts.push(RegistrationStatus.decode(request));
          return message({}).encode({});
        },
      },
    });
    mkdirSync(join(root, "plugins_registry"), { recursive: true });
    await registrar.listenUnix(this.registration);
    this.#servers.push(registrar, plugin);
  }

  async stop(): Promise<void> {
    for (const server of this.#servers.splice(0)) await server.stop();
  }

  async #prepare(claims: readonly Claim[]): Promise<Buffer> {
    const answers: Record<string, { error: string; devices: [] | readonly object[] }> = {};
    for (const claim of claims) {
      this.prepared.push(claim);
      answers[claim.uid] = this.refusal === "" ? await this.#give(claim) : { error: this.refusal, devices: [] };
    }
    return PrepareResponse.encode({ claims: answers as never });
  }

  async #give({ namespace, name, uid }: Claim): Promise<{ error: string; devices: readonly object[] }> {
    const { status } = await this.options.client.get(resourceClaims, { namespace, name });
    const results = status?.allocation?.devices?.results ?? [];
    mkdirSync(this.options.cdi, { recursive: true });
    const file = join(this.options.cdi, `${uid}.file`);
    writeFileSync(file, `claim ${name}\n`);
    const kind = `${this.options.name}/claim`;
    const spec = {
      cdiVersion: "0.6.0",
      kind,
      containerEdits: { env: [`CLAIM=${name}`] },
      devices: results.map(({ device }) => ({
        name: `${uid}-${device}`,
        containerEdits: {
          env: [`DEVICE_${device}=${device}`],
          deviceNodes: [{ path: `/dev/${device}`, hostPath: "/dev/null" }],
          mounts: [{ hostPath: file, containerPath: "/claim", options: ["ro", "bind"] }],
        },
      })),
    };
    writeFileSync(join(this.options.cdi, `${this.options.name}-${uid}.json`), JSON.stringify(spec));
    const devices = results.map(({ request, pool, device }) => ({
      requestNames: [request],
      poolName: pool,
      deviceName: device,
      cdiDeviceIds: [`${kind}=${uid}-${device}`],
    }));
    return { error: "", devices };
  }

  #unprepare(claims: readonly Claim[]): Buffer {
    this.unprepared.push(...claims);
    for (const { uid } of claims) {
      const file = join(this.options.cdi, `${this.options.name}-${uid}.json`);
      if (existsSync(file)) rmSync(file);
    }
    return UnprepareResponse.encode({ claims: Object.fromEntries(claims.map(({ uid }) => [uid, { error: "" }])) });
  }
}
