import { messageOf } from "#shared/api/joined-errors.ts";
import type { ResourceRef } from "#shared/api/resource-ref.ts";
import type { ComponentStatus } from "#shared/api/types/core-v1.generated.ts";
import type { ResourceDeclaration } from "../../registry/declaration.ts";
import { column, nameColumn } from "../columns.ts";

const componentStatuses: ResourceRef<ComponentStatus> = {
  group: "",
  version: "v1",
  kind: "ComponentStatus",
  plural: "componentstatuses",
  namespaced: false,
};

const healthy = ({ conditions }: ComponentStatus) => conditions?.find(({ type }) => type === "Healthy");

/** Deprecated since v1.19, yet tools still list it. Nothing is stored under it. */
export const componentStatus: ResourceDeclaration<ComponentStatus> = {
  ref: componentStatuses,
  versions: [{ version: "v1", served: true, deprecationWarning: "v1 ComponentStatus is deprecated in v1.19+" }],
  shortNames: ["cs"],
  verbs: ["get", "list"],
  columns: [
    nameColumn,
    column("Status", (object) => {
      const condition = healthy(object);
      if (condition === undefined) return "Unknown";
      return condition.status === "True" ? "Healthy" : "Unhealthy";
    }),
    column("Message", (object) => healthy(object)?.message ?? ""),
    column("Error", (object) => healthy(object)?.error ?? ""),
  ],
};

/** Rejects when the component is not well; otherwise what it says of itself. */
export type ComponentCheck = () => Promise<string>;

/** ComponentStatus with what the named components say when they are asked. */
export function computedComponentStatus(
  checks: ReadonlyMap<string, ComponentCheck>,
): ResourceDeclaration<ComponentStatus> {
  return {
    ...componentStatus,
    computedName: "componentstatus",
    computed: () => Promise.all([...checks].map(([name, check]) => statusOf(name, check))),
  };
}

async function statusOf(name: string, check: ComponentCheck): Promise<ComponentStatus> {
  const result = await check().then(
    (message) => ({ status: "True", message }),
    (error: unknown) => ({ status: "False", error: messageOf(error) }),
  );
  return {
    apiVersion: "v1",
    kind: "ComponentStatus",
    metadata: { name },
    conditions: [{ type: "Healthy", ...result }],
  };
}
