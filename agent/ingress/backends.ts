import type { Service } from "#shared/api/types/core-v1.generated.ts";
import type { EndpointPort, EndpointSlice } from "#shared/api/types/discovery-v1.generated.ts";
import { canonicalAddress } from "#shared/board/cidr.ts";
import { isPortNumber } from "../proxy/usable-values.ts";
import type { BackendReference } from "./routes.ts";

export interface Backend {
  readonly endpoints: readonly { readonly ip: string; readonly port: number }[];
  /** `h2c`: HTTP/2 without TLS, as gRPC servers speak it; the Service port's `appProtocol` says so (KEP-3726). */
  readonly protocol: "http1" | "h2c";
}

const http2Protocols = new Set(["kubernetes.io/h2c", "grpc"]);

/** The pods behind a Service's port: those that are ready, else those that still serve while they end. undefined: there is
 *  no such Service or port. */
export function backendOf(
  reference: BackendReference,
  service: Service | undefined,
  slices: readonly EndpointSlice[],
): Backend | undefined {
  const port = service?.spec?.ports?.find(({ name, port: number }) =>
    typeof reference.port === "number" ? number === reference.port : name === reference.port,
  );
  if (port === undefined || (port.protocol ?? "TCP") !== "TCP") return undefined;
  const candidates = slices.flatMap((slice) => {
    const target: EndpointPort | undefined = slice.ports?.find(
      ({ name = "", protocol = "TCP" }) => name === (port.name ?? "") && protocol === "TCP",
    );
    const served = target?.port;
    if (served === undefined || !isPortNumber(served)) return [];
    return (slice.endpoints ?? []).flatMap(({ addresses, conditions }) => {
      const ip = canonicalAddress(addresses?.[0] ?? "");
      if (ip === undefined) return [];
      const isReady = conditions?.ready !== false;
      return [
        { endpoint: { ip, port: served }, isReady, isServing: (conditions?.serving ?? conditions?.ready) !== false },
      ];
    });
  });
  const ready = candidates.filter(({ isReady }) => isReady);
  const usable = ready.length > 0 ? ready : candidates.filter(({ isServing }) => isServing);
  return {
    endpoints: usable.map(({ endpoint }) => endpoint),
    protocol: http2Protocols.has(port.appProtocol ?? "") ? "h2c" : "http1",
  };
}
