/** The five fields of a cron schedule, judged as robfig/cron does, whose wording clients see. */

interface FieldRule {
  readonly min: number;
  readonly max: number;
  readonly names?: Readonly<Record<string, number>>;
}

const numbered = (names: string, first: number): Record<string, number> =>
  Object.fromEntries(names.split(" ").map((name, index) => [name, index + first]));

const rules: readonly FieldRule[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: numbered("jan feb mar apr may jun jul aug sep oct nov dec", 1) },
  { min: 0, max: 6, names: numbered("sun mon tue wed thu fri sat", 0) },
];
const descriptors = ["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];

/** What is wrong with a schedule; undefined when it is valid. */
export function scheduleComplaint(schedule: string): string | undefined {
  const withoutZone = schedule.replace(/^(CRON_)?TZ=\S*\s+/, "").trim();
  if (withoutZone === "") return "empty spec string";
  if (withoutZone.startsWith("@")) return descriptorComplaint(withoutZone);
  const fields = withoutZone.split(/\s+/);
  if (fields.length !== rules.length) {
    return `expected exactly ${rules.length} fields, found ${fields.length}: [${fields.join(" ")}]`;
  }
  for (const [index, text] of fields.entries()) {
    const rule = rules[index];
    const complaint = rule && fieldComplaint(text, rule);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

function descriptorComplaint(text: string): string | undefined {
  if (descriptors.includes(text)) return undefined;
  if (!text.startsWith("@every ")) return `unrecognized descriptor: ${text}`;
  const duration = text.slice("@every ".length);
  if (/^[-+]?(([0-9]+(\.[0-9]+)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+$/.test(duration)) return undefined;
  return `failed to parse duration ${text}: time: invalid duration ${JSON.stringify(duration)}`;
}

function fieldComplaint(text: string, rule: FieldRule): string | undefined {
  for (const part of text.split(",").filter((each) => each !== "")) {
    const complaint = rangeComplaint(part, rule);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

/** `*`, `5`, `1-5`, each with a step behind a slash. */
function rangeComplaint(text: string, rule: FieldRule): string | undefined {
  const [range = "", step, ...moreSteps] = text.split("/");
  const [low = "", high, ...moreBounds] = range.split("-");
  let [start, end] = [rule.min, rule.max];
  if (low !== "*" && low !== "?") {
    if (moreBounds.length > 0) return `too many hyphens: ${text}`;
    const first = parseBound(low, rule);
    if (typeof first === "string") return first;
    const last = high === undefined ? first : parseBound(high, rule);
    if (typeof last === "string") return last;
    start = first;
    end = high === undefined && step !== undefined ? rule.max : last;
  }
  if (moreSteps.length > 0) return `too many slashes: ${text}`;
  const width = step === undefined ? 1 : parseNumber(step);
  if (typeof width === "string") return width;
  if (start < rule.min) return `beginning of range (${start}) below minimum (${rule.min}): ${text}`;
  if (end > rule.max) return `end of range (${end}) above maximum (${rule.max}): ${text}`;
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`;
  return width === 0 ? `step of range should be a positive number: ${text}` : undefined;
}

function parseBound(text: string, rule: FieldRule): number | string {
  return rule.names?.[text.toLowerCase()] ?? parseNumber(text);
}

function parseNumber(text: string): number | string {
  if (!/^[-+]?[0-9]+$/.test(text)) {
    return `failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`;
  }
  const value = Number(text);
  return value < 0 ? `negative number (${value}) not allowed: ${text}` : value;
}
