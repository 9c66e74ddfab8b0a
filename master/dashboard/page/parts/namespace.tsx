/** Which namespace the lists show: chosen once for the whole page. */
import { createContext } from "preact";
import { useContext, useEffect, useState } from "preact/hooks";
import { listPath, namespaces as namespaceResource } from "../api/objects.ts";
import { getJson } from "../api/request.ts";

const storageKey = "bramble.namespace";

export interface Filter {
  /** Empty: all of them. */
  readonly namespace: string;
  readonly search: string;
}

export const FilterContext = createContext<Filter>({ namespace: "", search: "" });
export const useFilter = (): Filter => useContext(FilterContext);

export const rememberedNamespace = (): string => sessionStorage.getItem(storageKey) ?? "";

interface ChoiceProps {
  readonly value: string;
  choose(namespace: string): void;
}

export function NamespaceChoice({ value, choose }: ChoiceProps) {
  // Who may not list namespaces names the one that is theirs.
  const [names, setNames] = useState<readonly string[] | "forbidden">([]);
  useEffect(() => {
    getJson<{ items: { metadata: { name: string } }[] }>(listPath(namespaceResource)).then(
      ({ items }) => setNames(items.map(({ metadata }) => metadata.name)),
      () => setNames("forbidden"),
    );
  }, []);
  const take = (namespace: string): void => {
    sessionStorage.setItem(storageKey, namespace);
    choose(namespace);
  };
  if (names === "forbidden") {
    return (
      <label class="field inline">
        <span class="hidden">Namespace</span>
        <input
          placeholder="Namespace"
          value={value}
          autocapitalize="none"
          onChange={(event) => take(event.currentTarget.value.trim())}
        />
      </label>
    );
  }
  const known = value === "" || names.includes(value) ? names : [value, ...names];
  return (
    <label class="field inline">
      <span class="hidden">Namespace</span>
      <select value={value} onChange={(event) => take(event.currentTarget.value)}>
        <option value="">All namespaces</option>
        {known.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
