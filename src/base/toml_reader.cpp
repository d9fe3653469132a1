// Owns the crossing from toml++ to C. Called by the config module alone; no exception leaves this file.
#include "base/toml_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace {

const char *name_of(toml::node_type type)
{
	switch (type) {
	case toml::node_type::string:
		return "string";
	case toml::node_type::integer:
		return "integer";
	case toml::node_type::floating_point:
		return "number with a fraction";
	case toml::node_type::boolean:
		return "boolean";
	case toml::node_type::array:
		return "array";
	case toml::node_type::table:
		return "table";
	default:
		return "date or time";
	}
}

bool holds_only_strings(const toml::array &array)
{
	return std::all_of(array.begin(), array.end(), [](const toml::node &item) { return item.is_string(); });
}

int hand_on(const std::string &key, int line, const toml::node &node, toml_on_value *on_value, void *context)
{
	std::vector<const char *> strings;
	toml_value value{};
	value.key = key.c_str();
	value.line = line;
	value.type = TOML_OTHER;
	value.type_name = name_of(node.type());

	if (const auto *string = node.as_string()) {
		value.type = TOML_STRING;
		value.string = string->get().c_str();
	} else if (const auto *integer = node.as_integer()) {
		value.type = TOML_INTEGER;
		value.integer = integer->get();
	} else if (const auto *boolean = node.as_boolean()) {
		value.type = TOML_BOOLEAN;
		value.boolean = boolean->get();
	} else if (const auto *array = node.as_array(); array != nullptr && holds_only_strings(*array)) {
		for (const toml::node &item : *array)
			strings.push_back(item.as_string()->get().c_str());
		value.type = TOML_STRINGS;
		value.strings.items = strings.data();
		value.strings.count = strings.size();
	}
	return on_value(context, &value);
}

struct entry {
	std::string key;
	int line;
	const toml::node *node;
};

} // namespace

int toml_read(const char *text, size_t len, toml_on_value *on_value, void *context, struct err *err)
{
	try {
		const toml::table table = toml::parse(std::string_view(text, len));

		// toml++ keeps keys sorted; people expect messages in the order of their file.
		std::vector<entry> entries;
		for (const auto &[key, node] : table)
			entries.push_back({std::string(key.str()), static_cast<int>(key.source().begin.line), &node});
		std::stable_sort(entries.begin(), entries.end(),
				 [](const entry &a, const entry &b) { return a.line < b.line; });

		for (const entry &each : entries) {
			const int rc = hand_on(each.key, each.line, *each.node, on_value, context);
			if (rc != 0)
				return rc;
		}
		return 0;
	} catch (const toml::parse_error &error) {
		const auto &at = error.source().begin;
		// The description may quote the line, and a line may hold the token: only its first sentence is safe.
		return err_set(err, ERR_INVALID, "line %d, column %d: not valid TOML", static_cast<int>(at.line),
			       static_cast<int>(at.column));
	} catch (const std::exception &) {
		return err_set(err, ERR_NOMEM, "out of memory");
	}
}
