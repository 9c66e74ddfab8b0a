import { endpoints as endpointsRef } from "#shared/api/resources.ts";
import type { Endpoints } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { ageColumn, column, listWithMore, nameColumn } from "../columns.ts";

const hostPort = (ip: string, port: number): string => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);

function addresses({ subsets }: Endpoints): string {
  if (!subsets?.length) return "<none>";
  const list = subsets.flatMap(({ addresses: ready = [], ports = [] }) =>
    ports.length === 0
      ? ready.map(({ ip }) => ip)
      : ports.flatMap(({ port }) => ready.map(({ ip }) => hostPort(ip, port))),
  );
  return list.length === 0 ? "" : listWithMore(list, 3);
}

export const endpoints: ResourceDeclaration<Endpoints> = {
  ref: endpointsRef,
  shortNames: ["ep"],
  columns: [nameColumn, column("Endpoints", addresses), ageColumn],
  strategy: { allowCreateOnUpdate: true },
};
