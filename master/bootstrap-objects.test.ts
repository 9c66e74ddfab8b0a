import { expect, test } from "bun:test";
import { serviceCIDRs, services } from "#shared/api/resources.ts";
import { startTestServer } from "../test/support/apiserver.ts";
import { ServiceAllocation } from "./apiserver/resources/service-allocation.ts";
import { ensureBootstrapObjects } from "./bootstrap-objects.ts";

test("a cluster that gets a second address family has it in its default ServiceCIDR; the kubernetes Service keeps one", async () => {
  const server = await startTestServer({
    guards: ({ reader }) => ({ admission: [new ServiceAllocation({ reader })] }),
  });
  try {
    const start = (...serviceCidrs: string[]): Promise<void> =>
      ensureBootstrapObjects({
        client: server.client,
        masters: ["192.0.2.1"],
        httpsPort: 6443,
        serviceCidrs,
        serviceIp: "10.43.0.1",
        dnsIp: undefined,
        localStorage: false,
        helm: false,
        ingress: false,
      });
    const ranges = async () => (await server.client.get(serviceCIDRs, { name: "kubernetes" })).spec.cidrs;
    await start("10.43.0.0/16");
    expect(await ranges()).toEqual(["10.43.0.0/16"]);
    await start("10.43.0.0/16", "fd43::/112");
    expect(await ranges()).toEqual(["10.43.0.0/16", "fd43::/112"]);
    // Back to one: the object is a person's to change, Services may still have addresses of it.
    await start("10.43.0.0/16");
    expect(await ranges()).toEqual(["10.43.0.0/16", "fd43::/112"]);
    const { spec } = await server.client.get(services, { namespace: "default", name: "kubernetes" });
    expect(spec.clusterIPs).toEqual(["10.43.0.1"]);
  } finally {
    await server.stop();
  }
});
