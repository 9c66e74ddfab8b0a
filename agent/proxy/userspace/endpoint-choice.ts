import { BoundedMap } from "#shared/compact/bounded-map.ts";
import type { Endpoint } from "../service-ports.ts";

/** Clients remembered for one relay; the one silent for longest is forgotten first. */
const mostClients = 4096;

interface Remembered {
  readonly endpoint: Endpoint;
  readonly until_ms: number;
}

/** Which endpoint a client's next connection goes to: in turn, or the client's last one where affinity is asked for. */
export class EndpointChoice {
  private next = 0;
  private readonly clients = new BoundedMap<Remembered>(mostClients);

  constructor(private readonly now_ms: () => number = () => performance.now()) {}

  /** All endpoints, the one to try first in front. Empty where there is none. */
  order(endpoints: readonly Endpoint[], client: string, affinity_s: number | undefined): Endpoint[] {
    const start = endpoints.length === 0 ? 0 : this.next++ % endpoints.length;
    const inTurn = [...endpoints.slice(start), ...endpoints.slice(0, start)];
    if (affinity_s === undefined) return inTurn;
    const last = this.clients.get(client);
    if (!last || last.until_ms <= this.now_ms()) return inTurn;
    const same = inTurn.find(({ ip, port }) => ip === last.endpoint.ip && port === last.endpoint.port);
    return same ? [same, ...inTurn.filter((each) => each !== same)] : inTurn;
  }

  /** This client was served by that endpoint. */
  remember(client: string, endpoint: Endpoint, affinity_s: number | undefined): void {
    if (affinity_s === undefined) return;
    this.clients.set(client, { endpoint, until_ms: this.now_ms() + affinity_s * 1000 });
  }
}
