/** What of the API an EncryptionConfiguration speaks of: `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*`. */
export class GroupResource {
  private constructor(
    readonly resource: string,
    readonly group: string,
  ) {}

  static parse(text: string): GroupResource {
    const dot = text.indexOf(".");
    return dot < 0 ? new GroupResource(text, "") : new GroupResource(text.slice(0, dot), text.slice(dot + 1));
  }

  /** As one writes it. */
  get text(): string {
    if (this.resource === "*" && this.group === "") return "*.";
    return this.group === "" ? this.resource : `${this.resource}.${this.group}`;
  }

  equals(other: GroupResource): boolean {
    return this.resource === other.resource && this.group === other.group;
  }

  /** Does this leave nothing to the other? */
  masks(other: GroupResource): boolean {
    return this.resource === "*" && (this.group === "*" || this.group === other.group);
  }

  concerns(resource: string, group: string): boolean {
    return (
      (this.resource === "*" || this.resource === resource) &&
      (this.group === group || (this.resource === "*" && this.group === "*"))
    );
  }

  /** In upstream's words; undefined for one that can be encrypted. */
  fault(): string | undefined {
    const { resource, group, text } = this;
    if (text !== text.toLowerCase()) return "resource name should not contain capital letters";
    if (withoutApi.has(text)) return "resources which do not have REST API/s cannot be encrypted";
    if (group === "events.k8s.io")
      return "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file";
    if (group === "extensions") return "'extensions' group has been removed and cannot be used for encryption";
    if (group === "*" && resource !== "*") return "encrypting the same resource across groups is not supported";
    return undefined;
  }
}

const withoutApi: ReadonlySet<string> = new Set([
  "apiserveripinfo",
  "serviceipallocations",
  "servicenodeportallocations",
]);
