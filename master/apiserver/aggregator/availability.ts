/** Whether the server behind an APIService can be used, and why not: upstream's reasons in upstream's words. */
import { messageOf } from "#shared/api/joined-errors.ts";
import { endpointSlices, services } from "#shared/api/resources.ts";
import type { APIService, APIServiceCondition } from "#shared/api/types/apiregistration-v1.generated.ts";
import type { User } from "../request.ts";
import { discoveryDeadline, endpointOf, type RemoteParts } from "./remote-service.ts";

export const aggregatorUser: User = { name: "system:kube-aggregator", groups: ["system:masters"] };

export type Availability = Omit<APIServiceCondition, "lastTransitionTime">;

export async function availabilityOf(parts: RemoteParts, service: APIService): Promise<Availability> {
  const missing = missingOf(parts, service);
  if (missing) return { type: "Available", status: "False", ...missing };
  try {
    await check(parts, service);
    return { type: "Available", status: "True", reason: "Passed", message: "all checks passed" };
  } catch (error) {
    const message = messageOf(error);
    return { type: "Available", status: "False", reason: "FailedDiscoveryCheck", message };
  }
}

function missingOf(
  { reader }: RemoteParts,
  { spec }: APIService,
): { readonly reason: string; readonly message: string } | undefined {
  const { name = "", namespace = "", port = 443 } = spec.service ?? {};
  const shown = `service/${name} in "${namespace}"`;
  const service = reader.get(services, { namespace, name });
  if (!service) return { reason: "ServiceNotFound", message: `${shown} is not present` };
  if ((service.spec?.type ?? "ClusterIP") !== "ClusterIP") return undefined;
  const found = service.spec?.ports?.find((each) => each.port === port);
  if (!found) return { reason: "ServicePortError", message: `${shown} is not listening on port ${port}` };
  const slices = reader
    .list(endpointSlices, namespace)
    .filter(({ metadata }) => metadata.labels?.["kubernetes.io/service-name"] === name);
  if (slices.length === 0) {
    return { reason: "EndpointsNotFound", message: `cannot find endpointslices for ${shown}` };
  }
  const isActive = slices.some(
    (slice) =>
      (slice.endpoints ?? []).some(({ conditions }) => conditions?.ready !== false) &&
      (slice.ports ?? []).some((each) => (each.name ?? "") === (found.name ?? "") && each.port !== undefined),
  );
  if (isActive) return undefined;
  const message = `endpointslices for ${shown} have no addresses with port name "${found.name ?? ""}"`;
  return { reason: "MissingEndpoints", message };
}

/**
 * The server answers for its group version. Nothing depends on what it says: so whether its certificate is good is left
 * to the requests of clients, which learn what is wrong with it. Throws what its condition says.
 */
async function check(parts: RemoteParts, service: APIService): Promise<void> {
  const { group = "", version = "" } = service.spec;
  const endpoint = endpointOf(parts, service);
  const path = `/apis/${group}/${version}`;
  const url = `https://${endpoint.host}${path}`;
  const signal = discoveryDeadline(parts);
  const request = { method: "GET", path, headers: ["Accept-Encoding", "gzip"] };
  const answer = await endpoint
    .request(aggregatorUser, request, { verification: "unverified", signal })
    .catch((error: unknown) => {
      const why = signal.aborted ? "context deadline exceeded" : messageOf(error);
      throw new Error(`failing or missing response from ${url}: Get "${url}": ${why}`);
    });
  answer.body.destroy();
  if (answer.status < 200 || answer.status > 299) {
    throw new Error(`failing or missing response from ${url}: bad status from ${url}: ${answer.status}`);
  }
}
