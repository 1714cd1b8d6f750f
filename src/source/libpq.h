#ifndef SOURCE_LIBPQ_H
#define SOURCE_LIBPQ_H

#include "base/lazy.h"

/* libpq calls its own connection by the tag that is ours. */
#define pg_conn libpq_pg_conn
#include <libpq-fe.h>
#undef pg_conn

/*
 * libpq, loaded when it is first used (base/lazy.h). The functions that may be called stand in the
 * list, and below it under their own names; nothing else changes for who calls them.
 */
#define LIBPQ_FUNCTIONS \
	X(PQcancel) \
	X(PQclear) \
	X(PQconnectPoll) \
	X(PQconnectStartParams) \
	X(PQconnectionNeedsPassword) \
	X(PQconninfo) \
	X(PQconninfoFree) \
	X(PQconninfoParse) \
	X(PQconsumeInput) \
	X(PQerrorMessage) \
	X(PQfinish) \
	X(PQflush) \
	X(PQfreeCancel) \
	X(PQfreemem) \
	X(PQgetCancel) \
	X(PQgetCopyData) \
	X(PQgetResult) \
	X(PQgetisnull) \
	X(PQgetlength) \
	X(PQgetvalue) \
	X(PQhost) \
	X(PQisBusy) \
	X(PQnfields) \
	X(PQntuples) \
	X(PQparameterStatus) \
	X(PQport) \
	X(PQputCopyData) \
	X(PQputCopyEnd) \
	X(PQresStatus) \
	X(PQresultErrorField) \
	X(PQresultErrorMessage) \
	X(PQresultStatus) \
	X(PQsendQuery) \
	X(PQsendQueryParams) \
	X(PQserverVersion) \
	X(PQsetErrorVerbosity) \
	X(PQsetNoticeReceiver) \
	X(PQsetnonblocking) \
	X(PQbackendPID) \
	X(PQsocket) \
	X(PQstatus)

#define X(f) __typeof__(&f) f##_;
struct libpq {
	LIBPQ_FUNCTIONS
};
#undef X
/* Filled; for any thread. */
const struct libpq *libpq(void);

#define PQcancel (libpq()->PQcancel_)
#define PQclear (libpq()->PQclear_)
#define PQconnectPoll (libpq()->PQconnectPoll_)
#define PQconnectStartParams (libpq()->PQconnectStartParams_)
#define PQconnectionNeedsPassword (libpq()->PQconnectionNeedsPassword_)
#define PQconninfo (libpq()->PQconninfo_)
#define PQconninfoFree (libpq()->PQconninfoFree_)
#define PQconninfoParse (libpq()->PQconninfoParse_)
#define PQconsumeInput (libpq()->PQconsumeInput_)
#define PQerrorMessage (libpq()->PQerrorMessage_)
#define PQfinish (libpq()->PQfinish_)
#define PQflush (libpq()->PQflush_)
#define PQfreeCancel (libpq()->PQfreeCancel_)
#define PQfreemem (libpq()->PQfreemem_)
#define PQgetCancel (libpq()->PQgetCancel_)
#define PQgetCopyData (libpq()->PQgetCopyData_)
#define PQgetResult (libpq()->PQgetResult_)
#define PQgetisnull (libpq()->PQgetisnull_)
#define PQgetlength (libpq()->PQgetlength_)
#define PQgetvalue (libpq()->PQgetvalue_)
#define PQhost (libpq()->PQhost_)
#define PQisBusy (libpq()->PQisBusy_)
#define PQnfields (libpq()->PQnfields_)
#define PQntuples (libpq()->PQntuples_)
#define PQparameterStatus (libpq()->PQparameterStatus_)
#define PQport (libpq()->PQport_)
#define PQputCopyData (libpq()->PQputCopyData_)
#define PQputCopyEnd (libpq()->PQputCopyEnd_)
#define PQresStatus (libpq()->PQresStatus_)
#define PQresultErrorField (libpq()->PQresultErrorField_)
#define PQresultErrorMessage (libpq()->PQresultErrorMessage_)
#define PQresultStatus (libpq()->PQresultStatus_)
#define PQsendQuery (libpq()->PQsendQuery_)
#define PQsendQueryParams (libpq()->PQsendQueryParams_)
#define PQserverVersion (libpq()->PQserverVersion_)
#define PQsetErrorVerbosity (libpq()->PQsetErrorVerbosity_)
#define PQsetNoticeReceiver (libpq()->PQsetNoticeReceiver_)
#define PQsetnonblocking (libpq()->PQsetnonblocking_)
#define PQbackendPID (libpq()->PQbackendPID_)
#define PQsocket (libpq()->PQsocket_)
#define PQstatus (libpq()->PQstatus_)

#endif
