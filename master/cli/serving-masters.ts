import { endpointSlices } from "#shared/api/resources.ts";
import type { Client } from "#shared/client/client.ts";

export interface ServingMaster {
  readonly address: string;
  /** Of its API server; undefined where the list does not say. */
  readonly port: number | undefined;
}

/** The masters that serve, each once: where the `kubernetes` Service leads. */
export async function servingMasters(client: Client): Promise<ServingMaster[]> {
  const { items } = await client.list(endpointSlices, {
    namespace: "default",
    labelSelector: "kubernetes.io/service-name=kubernetes",
  });
  const listed = items.flatMap(({ endpoints, ports }) =>
    (endpoints ?? []).flatMap(({ addresses }) => addresses.map((address) => ({ address, port: ports?.[0]?.port }))),
  );
  return [...new Map(listed.map((master) => [master.address, master])).values()];
}
