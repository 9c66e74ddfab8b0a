import type { Container } from "#shared/api/types/core-v1.generated.ts";

/** A port by number or by the name it has in the container. Throws Error. */
export function resolvePort(port: number | string, container: Container): number {
  const number =
    typeof port === "number"
      ? port
      : (container.ports?.find(({ name }) => name === port)?.containerPort ??
        Number(/^[+-]?\d+$/.test(port) ? port : NaN));
  if (Number.isNaN(number)) throw new Error(`strconv.Atoi: parsing "${port}": invalid syntax`);
  if (number < 1 || number > 65_535) throw new Error(`invalid port number: ${number}`);
  return number;
}
