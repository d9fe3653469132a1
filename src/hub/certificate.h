/* The hub's certificate, as its configuration names it. */
#pragma once

#include "hub/hub_config.h"
#include "net/tls_identity.h"

/* Whether tls_cert and tls_key can be used; warns in the log about a certificate that is past its time. */
int certificate_check(const struct hub_config *config, struct err *err) MUST_CHECK;

/* NULL without TLS. */
int certificate_load(const struct hub_config *config, struct tls_identity **identity, struct err *err) MUST_CHECK;

/* On SIGHUP: the new one, or NULL where the old one stays. The log tells which, and why. */
struct tls_identity *certificate_reload(const struct hub_config *config);
