import { isPortNumber, protocolOf } from "#agent/proxy/usable-values.ts";
import type { Service, ServicePort } from "#shared/api/types/core-v1.generated.ts";
import { canonicalAddress } from "#shared/board/cidr.ts";
import { inUrl } from "#shared/http/host-port.ts";

/**
 * Variables that tell a container of Services in its namespace, and of the API server's everywhere
 * (`WEB_SERVICE_HOST`, `WEB_PORT_80_TCP_ADDR`, …), as Docker links once did.
 */
export function serviceEnvironment(
  services: readonly Service[],
  namespace: string,
  enableServiceLinks: boolean,
): Map<string, string> {
  const environment = new Map<string, string>();
  const named = new Map<string, Service>();
  for (const service of services) {
    const { clusterIP = "" } = service.spec;
    const name = service.metadata.name ?? "";
    if (canonicalAddress(clusterIP) === undefined || !isPlain(name)) continue;
    const isApiServer = service.metadata.namespace === "default" && name === "kubernetes";
    if (service.metadata.namespace === namespace && enableServiceLinks) named.set(name, service);
    else if (isApiServer && !named.has(name)) named.set(name, service);
  }
  for (const [name, service] of named) addService(environment, name, service);
  return environment;
}

function addService(environment: Map<string, string>, name: string, service: Service): void {
  const prefix = variableName(name);
  const address = service.spec.clusterIP ?? "";
  const host = inUrl(address);
  const ports = (service.spec.ports ?? []).filter(isUsable);
  const first = ports[0];
  if (!first) return;
  environment.set(`${prefix}_SERVICE_HOST`, address);
  environment.set(`${prefix}_SERVICE_PORT`, String(first.port));
  for (const port of ports) {
    if (port.name) environment.set(`${prefix}_SERVICE_PORT_${variableName(port.name)}`, String(port.port));
  }
  for (const [index, port] of ports.entries()) {
    const protocol = port.protocol ?? "TCP";
    const url = `${protocol.toLowerCase()}://${host}:${port.port}`;
    const portPrefix = `${prefix}_PORT_${port.port}_${protocol.toUpperCase()}`;
    if (index === 0) environment.set(`${prefix}_PORT`, url);
    environment.set(portPrefix, url);
    environment.set(`${portPrefix}_PROTO`, protocol.toLowerCase());
    environment.set(`${portPrefix}_PORT`, String(port.port));
    environment.set(`${portPrefix}_ADDR`, address);
  }
}

/** What no container could be started with would keep all pods of its namespace from starting. */
const isPlain = (name: string): boolean => /^[\w.-]*$/.test(name);
const isUsable = ({ name = "", port, protocol }: ServicePort): boolean =>
  isPlain(name) && isPortNumber(port) && protocolOf(protocol) !== undefined;

const variableName = (name: string): string => name.replaceAll("-", "_").toUpperCase();
