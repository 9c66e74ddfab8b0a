import { isServedIngress, servesIngress } from "#shared/api/ingress.ts";
import { equalJson } from "#shared/api/patch/json-value.ts";
import { endpointSlices, ingressClasses, ingresses, nodes, services } from "#shared/api/resources.ts";
import type { InformerFactory } from "#shared/client/informer.ts";
import type { Log } from "#shared/client/log.ts";
import { runQueueWorker } from "#shared/client/queue-worker.ts";
import { StandingTrouble } from "#shared/client/standing-trouble.ts";
import { WorkQueue } from "#shared/client/work-queue.ts";
import { addSliceIndexes, sliceByService } from "../proxy/slice-index.ts";
import { type Backend, backendOf } from "./backends.ts";
import type { IngressCertificates, KeptCertificates } from "./certificates.ts";
import type { IngressServer } from "./ingress-server.ts";
import { RoutingTable } from "./routes.ts";

export interface IngressOptions {
  readonly informers: InformerFactory;
  readonly nodeName: string;
  readonly httpPort: number | undefined;
  readonly httpsPort: number | undefined;
  readonly idle_ms: number;
  /** Where certificates are kept for a boot with the master away. */
  readonly kept?: KeptCertificates | undefined;
  readonly log: Log;
}

const sync = "sync";
const gather_ms = 100;

/**
 * Ingresses of the classes that boards serve. A board opens the ports with the first Ingress and closes them with the
 * last: without one, they are free for others.
 */
export class IngressBoard {
  private readonly queue = new WorkQueue({ firstBackOff_ms: 1_000, longestBackOff_ms: 30_000 });
  private readonly detach: (() => void)[] = [];
  private table = new RoutingTable([]);
  private server: IngressServer | undefined;
  private certificates: IngressCertificates | undefined;
  private running: Promise<void> | undefined;

  constructor(private readonly options: IngressOptions) {}

  start(): void {
    const { informers } = this.options;
    const enqueue = (): void => this.queue.addAfter(sync, gather_ms);
    addSliceIndexes(informers.informer(endpointSlices));
    informers.informer(services);
    this.detach.push(
      informers.informer(ingresses).addHandler(enqueue),
      informers.informer(ingressClasses).addHandler(enqueue),
      informers.informer(nodes).addHandler((event) => {
        // Which boards serve depends on labels alone.
        const before = event.type === "update" ? event.old.metadata.labels : undefined;
        if (event.type === "update" && equalJson(before, event.object.metadata.labels)) return;
        enqueue();
      }),
    );
    const trouble = new StandingTrouble(this.options.log, {
      wrong: "cannot serve Ingresses; trying again",
      over: "Ingresses are served again",
    });
    this.running = runQueueWorker(
      this.queue,
      async () => {
        await this.apply();
        trouble.end();
      },
      (_, error) => trouble.tell(error),
    );
    this.queue.add(sync);
  }

  async stop(): Promise<void> {
    for (const detach of this.detach.splice(0)) detach();
    this.queue.shutDown();
    await this.running;
    await this.server?.close();
    this.server = undefined;
  }

  private async apply(): Promise<void> {
    const { informers, nodeName } = this.options;
    const classes = informers.lister(ingressClasses).list();
    const served = servesIngress(nodeName, informers.lister(nodes).list())
      ? informers
          .lister(ingresses)
          .list()
          .filter((ingress) => isServedIngress(ingress, classes))
      : [];
    this.table = new RoutingTable(served);
    this.retainCertificates();
    if (!this.table.isEmpty && this.server === undefined) {
      const server = await this.makeServer();
      await server.listen();
      this.server = server;
      this.options.log.info("serving Ingresses", { http: server.httpPort, https: server.httpsPort });
    } else if (this.table.isEmpty && this.server !== undefined) {
      await this.server.close();
      this.server = undefined;
    }
  }

  private retainCertificates(): void {
    // What is known from before a start says nothing of what is gone.
    if (!this.options.informers.informer(ingresses).hasSynced) return;
    this.certificates
      ?.retain(this.table.secretKeys)
      .catch((error: unknown) => this.options.log.warn("certificates are not kept", { error }));
  }

  /** Loaded when there is something to serve: most boards of most clusters have no use for it. */
  private async makeServer(): Promise<IngressServer> {
    const { httpPort, httpsPort, idle_ms, informers, log } = this.options;
    const [{ IngressServer: Ports }, { IngressCertificates: Certificates }] = await Promise.all([
      import("./ingress-server.ts"),
      import("./certificates.ts"),
    ]);
    const certificates = this.certificates ?? new Certificates(informers.client, log, this.options.kept);
    this.certificates = certificates;
    this.retainCertificates();
    return new Ports({
      httpPort,
      httpsPort,
      idle_ms,
      log,
      backendFor: (host, path) => this.backend(host, path),
      contextFor: async (serverName) => {
        const secret = this.table.secretFor(serverName);
        return secret && (await certificates.contextOf(secret));
      },
    });
  }

  private backend(host: string, path: string): Backend | undefined {
    const reference = this.table.match(host, path);
    if (reference === undefined) return undefined;
    const { informers } = this.options;
    const key = `${reference.namespace}/${reference.service}`;
    const slices = informers.lister(endpointSlices).byIndex(sliceByService, key);
    // A route whose Service is not there is there all the same: 503, not 404.
    return backendOf(reference, informers.lister(services).get(key), slices) ?? { endpoints: [], protocol: "http1" };
  }
}
