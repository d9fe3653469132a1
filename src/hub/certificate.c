/* Owns what the hub says and asks about its certificate: at --check-config, at start, on SIGHUP. Called by the
 * configuration's table and the hub; never reads a PEM file itself (net/tls_identity.c does). */
#include "hub/certificate.h"

#include "base/clock.h"
#include "base/log.h"

enum { DATE_LEN = sizeof("2026-01-31") - 1 };

static bool wanted(const struct hub_config *config)
{
	return *config->tls_cert != '\0';
}

static void warn_of_time(const struct tls_identity *identity)
{
	char date[RFC3339_SIZE];
	int64_t now_s = clock_wall_ms() / 1000;
	bool early = now_s < tls_identity_begins(identity);
	if (!early && now_s < tls_identity_ends(identity))
		return;
	clock_format_rfc3339((early ? tls_identity_begins(identity) : tls_identity_ends(identity)) * 1000, date);
	log_warn(NULL, "the certificate of tls_cert %s %s: nodes that do not pin its key will refuse it",
		 early ? "begins only on" : "expired on", date);
}

static void tell(const struct tls_identity *identity, const char *what)
{
	char date[RFC3339_SIZE];
	clock_format_rfc3339(tls_identity_ends(identity) * 1000, date);
	log_info(NULL, "%s: %s, until %.*s, tls_pin = \"%s\"", what, tls_identity_name(identity), (int)DATE_LEN, date,
		 tls_identity_pin(identity));
}

static struct tls_identity *load(const struct hub_config *config, struct err *err)
{
	return tls_identity_load(config->tls_cert, config->tls_key, err);
}

int certificate_check(const struct hub_config *config, struct err *err)
{
	if (!*config->tls_cert != !*config->tls_key)
		return err_set(err, ERR_INVALID, "%s is set and %s is not: set both, or none",
			       *config->tls_cert ? "tls_cert" : "tls_key", *config->tls_cert ? "tls_key" : "tls_cert");
	if (!wanted(config))
		return 0;
	struct tls_identity *identity = load(config, err);
	if (!identity)
		return (int)err->code;
	warn_of_time(identity);
	tls_identity_drop(identity);
	return 0;
}

int certificate_load(const struct hub_config *config, struct tls_identity **identity, struct err *err)
{
	*identity = NULL;
	if (!wanted(config))
		return 0;
	*identity = load(config, err);
	if (!*identity)
		return (int)err->code;
	tell(*identity, "certificate");
	return 0;
}

struct tls_identity *certificate_reload(const struct hub_config *config)
{
	struct err err = {0};
	if (!wanted(config)) {
		log_info(NULL, "SIGHUP: nothing to read anew, tls_cert is not set");
		return NULL;
	}
	struct tls_identity *identity = load(config, &err);
	if (!identity) {
		log_error(NULL, "SIGHUP: the old certificate stays: %s", err.text);
		return NULL;
	}
	warn_of_time(identity);
	tell(identity, "SIGHUP: new connections see the new certificate");
	return identity;
}
