/** A flag that stands in a query: whatever is not said to be false is true, no text too (apimachinery, runtime/conversion.go). */
export const isTrue = (text: string): boolean => text !== "0" && text.toLowerCase() !== "false";
